"""Routes of the pages about accounts and about what instances are; below `/app/`."""

from __future__ import annotations

from allauth.account.views import reauthenticate
from django.urls import URLPattern, URLResolver, path

from instances.pages import (
    accounts,
    api_keys,
    factors,
    field_names,
    forgotten,
    issuer,
    joining,
    new_instance,
    people,
    resources,
    saved_views,
    sessions,
    settings,
    tokens,
)
from instances.pages.access import account_page

_INSTANCE = "instances/<int:number>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("signin", accounts.SignInView.as_view(), name="signin"),
    path("signout", accounts.SignOutView.as_view(), name="signout"),
    # The same by the names that allauth leads to; and the password once more, before what is delicate.
    path("signin", accounts.SignInView.as_view(), name="account_login"),
    path("confirm", account_page(reauthenticate), name="account_reauthenticate"),
    path("signin/issuer", issuer.sign_in_by_issuer, name="sign-in-by-issuer"),
    path("signin/issuer/back", issuer.back_from_issuer, name="back-from-issuer"),
    path("issuer", issuer.own_issuer, name="own-issuer"),
    # The second step, and one's own second factors, by allauth's names.
    path("signin/code", factors.second_step, name="mfa_authenticate"),
    path("signin/passkey", factors.PasskeySignInView.as_view(), name="mfa_login_webauthn"),
    path("confirm/code", factors.confirm_code, name="mfa_reauthenticate"),
    path("confirm/passkey", factors.confirm_passkey, name="mfa_reauthenticate_webauthn"),
    path("factors", factors.factors, name="mfa_index"),
    path("factors/app/add", factors.add_app, name="mfa_activate_totp"),
    path("factors/app/remove", factors.remove_app, name="mfa_deactivate_totp"),
    path("factors/passkeys/add", factors.add_passkey, name="mfa_add_webauthn"),
    path("factors/passkeys/<int:pk>/rename", factors.rename_passkey, name="mfa_edit_webauthn"),
    path("factors/passkeys/<int:pk>/remove", factors.remove_passkey, name="mfa_remove_webauthn"),
    path("factors/recovery", factors.recovery_codes, name="mfa_view_recovery_codes"),
    path("factors/recovery/new", factors.new_recovery_codes, name="mfa_generate_recovery_codes"),
    path("people/second-factor", people.require_second_factor, name="require-second-factor"),
    path("password", accounts.PasswordView.as_view(), name="password"),
    path("sessions", sessions.sessions, name="sessions"),
    path("sessions/end-others", sessions.end_other_sessions, name="end-other-sessions"),
    path("sessions/<int:number>/end", sessions.end_session, name="end-session"),
    path("start", accounts.first_start, name="first-start"),
    path("address", forgotten.own_address, name="own-address"),
    path("password/forgotten", forgotten.forgot_password, name="forgot-password"),
    path("password/new", forgotten.new_password, name="new-password"),
    path("join", joining.join, name="join"),
    path("people", people.people, name="people"),
    path("people/invite", people.invite_person, name="invite-person"),
    path("people/invitations/<int:number>/revoke", people.revoke_invitation, name="revoke-invitation"),
    path("people/<int:number>/role", people.change_person_role, name="change-role"),
    path("people/<int:number>/remove", people.remove_person, name="remove-person"),
    path("people/leave", people.leave, name="leave"),
    path("keys", api_keys.api_keys, name="api-keys"),
    path("keys/new", api_keys.new_api_key, name="new-api-key"),
    path("keys/<int:number>/revoke", api_keys.revoke_api_key, name="revoke-api-key"),
    path("organization", accounts.choose_organization, name="choose-organization"),
    path("views/save", saved_views.save, name="save-view"),
    path("views/<int:number>/remove", saved_views.remove, name="remove-view"),
    path("instances/new", new_instance.new_instance, name="new-instance"),
    path("instances/new/test", new_instance.test_connection, name="test-connection"),
    path("instances/new/counts", new_instance.resource_counts, name="resource-counts"),
    path("instances/new/options", new_instance.resource_options, name="resource-options"),
    path(f"{_INSTANCE}/settings", settings.instance_settings, name="instance-settings"),
    path(f"{_INSTANCE}/settings/test", settings.test_stored_connection, name="test-stored-connection"),
    path(f"{_INSTANCE}/switch", settings.switch_events, name="switch-events"),
    path(f"{_INSTANCE}/enabled", settings.switch_instance, name="switch-instance"),
    path(f"{_INSTANCE}/token", tokens.new_token, name="new-token"),
    path(f"{_INSTANCE}/delete", settings.delete, name="delete-instance"),
    path(f"{_INSTANCE}/resources/fields", field_names.field_names, name="field-names"),
    path(f"{_INSTANCE}/resources/add", resources.add_resource, name="add-resource"),
    path(f"{_INSTANCE}/resources/edit/<path:name>", resources.edit_resource, name="edit-resource"),
]
