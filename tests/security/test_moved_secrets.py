"""A stored secret that is carried to another row or column opens nothing there, and nothing is sent with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, models, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from cwconnect.core.errors import ConflictError
from cwconnect.sandbox import SandboxServer
from cwconnect.site.checks import check_stored_secrets
from instances.models import FactorSecret, Instance, Organization
from instances.secrets import HoldsSecrets, Place, Secret, SecretField, SecretMisplacedError, SecretUnreadableError
from instances.secrets.binding import MIGRATION
from instances.secrets.ciphertexts import seal
from instances.secrets.rotation import secret_columns
from polling.delivery.first_subscriptions import first_subscription
from polling.delivery.test_notification import send_test
from polling.models import AlertDestination, CallbackEndpoint, DeliveryState, IdempotentAnswer, Subscription
from tests.support.deliveries import change, deliver
from tests.support.polled_instance import PolledInstance
from tests.support.receivers import Receiver
from tests.support.rows import further_subscription, make_instance

COLUMNS = [(model, name) for model, names in secret_columns() for name in names]
PLACES = pytest.mark.parametrize(("model", "column"), COLUMNS, ids=[f"{m.__name__}.{name}" for m, name in COLUMNS])


def an_instance(organization: Organization) -> Instance:
    names = [name for model, name in COLUMNS if model is Instance]
    return make_instance(organization, **{name: Secret.of(f"the {name}") for name in names})


def a_subscription(organization: Organization) -> Subscription:
    names = [name for model, name in COLUMNS if model is Subscription]
    secrets = {name: Secret.of(f"the {name}") for name in names}
    return further_subscription(make_instance(organization), Subscription.objects.count(), **secrets)


def an_answer(organization: Organization) -> IdempotentAnswer:
    number = str(IdempotentAnswer.objects.count())
    return IdempotentAnswer.objects.create(
        organization=organization, key_hash=number, answer=Secret.of("the answer"), created_at=timezone.now()
    )


def an_endpoint(organization: Organization) -> CallbackEndpoint:
    number = str(CallbackEndpoint.objects.count())
    endpoint = CallbackEndpoint(instance=make_instance(organization), token_hash=number, token=Secret.of("the token"))
    endpoint.save(force_insert=True)
    return endpoint


def a_destination(organization: Organization) -> AlertDestination:
    number, url = AlertDestination.objects.count(), Secret.of("https://example.com/the-secret")
    return AlertDestination.objects.create(
        organization=organization, name=str(number), kind="slack", url=url, since=timezone.now()
    )


def a_factor(organization: Organization) -> FactorSecret:
    person = User.objects.create_user(f"person {User.objects.count()}")
    return FactorSecret.objects.create(account=person, text=Secret.of("the text"))


MAKERS: dict[type[models.Model], Callable[[Organization], models.Model]] = {
    Instance: an_instance,
    Subscription: a_subscription,
    IdempotentAnswer: an_answer,
    CallbackEndpoint: an_endpoint,
    AlertDestination: a_destination,
    FactorSecret: a_factor,
}


def stored(row: models.Model, column: str) -> str:
    """Return what the database holds."""
    (secret,) = type(row)._default_manager.filter(pk=row.pk).values_list(column, flat=True)
    return str(secret.ciphertext)


def put(row: models.Model, column: str, ciphertext: str) -> None:
    """Write to the database past everything that the service does."""
    name, key = row._meta.db_table, row._meta.pk.column
    with connection.cursor() as cursor:
        cursor.execute(f'UPDATE "{name}" SET "{column}" = %s WHERE "{key}" = %s', [ciphertext, row.pk])  # noqa: S608  (our own names)


def read(row: models.Model, column: str) -> str:
    """Open a secret as the service does."""
    secret: Secret = getattr(type(row)._default_manager.get(pk=row.pk), column)
    return secret.reveal()


def unbound(text: str) -> str:
    """Return a ciphertext as versions made it that bound it to nothing."""
    return "v1:" + Fernet(settings.ENCRYPTION_KEYS[0]).encrypt(text.encode()).decode()


@pytest.fixture
def rows(organization: Organization) -> list[models.Model]:
    """Two rows of each model with secrets, every secret set."""
    return [make(organization) for make in MAKERS.values() for _ in range(2)]


@pytest.fixture
def _before_the_upgrade(db: None) -> None:
    app, name = MIGRATION
    MigrationRecorder.Migration.objects.filter(app=app, name=name).delete()


def test_every_model_with_secrets_is_tried_and_seals_them_itself() -> None:
    assert {model for model, _ in COLUMNS} == set(MAKERS)
    assert all(issubclass(model, HoldsSecrets) for model in MAKERS)


def test_the_places_are_called_what_stored_ciphertexts_are_bound_to() -> None:
    """Renaming a table or a column with secrets takes a migration that seals them anew, and a change here."""
    named = {(place.table, place.column) for place in (_place(model, column) for model, column in COLUMNS)}
    of_instances = ("public_key", "private_key", "signature_key", "previous_signature_key", "callback_headers")
    assert named >= {("instances_instance", column) for column in (*of_instances, "basic_password")}
    assert ("polling_idempotentanswer", "answer") in named
    assert ("polling_callbackendpoint", "token") in named


def _place(model: type[models.Model], column: str) -> Place:
    field = model._meta.get_field(column)
    assert isinstance(field, SecretField)
    return field.place_in(model(pk=1))


@PLACES
def test_moved_it_opens_nothing(model: type[models.Model], column: str, rows: list[models.Model]) -> None:
    sources = {(row, name): stored(row, name) for row in rows for of, name in COLUMNS if of is type(row)}
    target = next(row for row in rows if type(row) is model)
    own = sources[target, column]
    assert read(target, column)
    for source, ciphertext in sources.items():
        put(target, column, ciphertext)
        if source == (target, column):
            assert read(target, column)
            continue
        with pytest.raises(SecretMisplacedError, match=f"{column} was not written there: .* moved from another"):
            read(target, column)
    put(target, column, own)
    assert read(target, column)


@PLACES
def test_altered_it_opens_nothing(model: type[models.Model], column: str, rows: list[models.Model]) -> None:
    target = next(row for row in rows if type(row) is model)
    own = stored(target, column)
    version, name, body = own.split(":")
    spoilt = [own[:-6] + ("AAAA" if own[-6:-2] != "AAAA" else "BBBB") + own[-2:], own[:-4], f"{version}:{name}:"]
    for altered in (*spoilt, f"v3:{name}:{body}", "", "plain text", f"{version}:{name}:!", f"{version}:{name}:é"):
        put(target, column, altered)
        with pytest.raises(SecretMisplacedError):
            read(target, column)


@PLACES
def test_one_of_another_key_is_not_taken_for_one_that_was_moved(
    model: type[models.Model], column: str, rows: list[models.Model]
) -> None:
    target = next(row for row in rows if type(row) is model)
    place = Place(model._meta.db_table, column, str(target.pk))
    put(target, column, seal("x", place, [Fernet.generate_key().decode()]))
    with pytest.raises(SecretUnreadableError, match="any key in CWCONNECT_ENCRYPTION_KEYS") as raised:
        read(target, column)
    assert not isinstance(raised.value, SecretMisplacedError)
    assert [problem.id for problem in check_stored_secrets()] == ["cwconnect.E004"]


@PLACES
def test_one_that_is_bound_to_nothing_is_refused_since_the_upgrade(
    model: type[models.Model], column: str, rows: list[models.Model]
) -> None:
    target = next(row for row in rows if type(row) is model)
    put(target, column, unbound("from an old backup"))
    with pytest.raises(SecretMisplacedError, match="form of an earlier version"):
        read(target, column)
    assert check_stored_secrets() == [], "one spoilt row must not stop the service for all"


@PLACES
@pytest.mark.usefixtures("_before_the_upgrade")
def test_one_that_is_bound_to_nothing_is_read_until_the_upgrade_is_done(
    model: type[models.Model], column: str, rows: list[models.Model]
) -> None:
    target = next(row for row in rows if type(row) is model)
    put(target, column, unbound("of the version before"))
    assert read(target, column) == "of the version before"


def test_the_upgrade_is_a_migration_that_there_is() -> None:
    assert MIGRATION in MigrationLoader(None, ignore_no_migrations=True).disk_migrations


def test_moved_before_the_rotation_it_is_named_and_not_sealed_anew(organization: Organization) -> None:
    first, second = an_instance(organization), an_instance(organization)
    put(second, "private_key", stored(first, "private_key"))
    second.refresh_from_db()
    with pytest.raises(SecretMisplacedError):
        second.private_key.rotated()


def test_a_row_is_saved_whatever_became_of_its_secrets(organization: Organization) -> None:
    first, second = an_instance(organization), an_instance(organization)
    put(second, "private_key", moved := stored(first, "private_key"))
    row = Instance.objects.get(pk=second.pk)
    row.name = "renamed"
    row.save()
    assert stored(second, "private_key") == moved
    with pytest.raises(SecretMisplacedError):
        read(second, "private_key")


def test_a_secret_that_the_service_moves_is_sealed_for_its_new_place(organization: Organization) -> None:
    first, second = an_instance(organization), an_instance(organization)
    second.private_key = Instance.objects.get(pk=first.pk).signature_key
    second.save()
    assert read(second, "private_key") == "the signature_key"
    assert stored(second, "private_key") != stored(first, "signature_key")


def test_a_row_with_secrets_is_written_whole_or_not_at_all(organization: Organization) -> None:
    keys = {"public_key": Secret.of("x"), "private_key": Secret.of("x")}
    rows = [Instance(organization=organization, name=name, token_hash=name, **keys) for name in ("one", "two")]
    with pytest.raises(TypeError, match="saved one by one"), transaction.atomic():
        Instance.objects.bulk_create(rows)
    made = an_instance(organization)
    with pytest.raises(TypeError, match="sealed for its row"), transaction.atomic():
        Instance.objects.filter(pk=made.pk).update(private_key=Secret.of("x"))
    assert list(Instance.objects.values_list("pk", flat=True)) == [made.pk]


def test_one_read_without_its_row_is_not_opened(organization: Organization) -> None:
    made = an_instance(organization)
    (secret,) = filter(None, Instance.objects.filter(pk=made.pk).values_list("private_key", flat=True))
    with pytest.raises(SecretUnreadableError, match="without its row"):
        secret.reveal()


def twin_of(world: PolledInstance) -> Instance:
    """Make another instance with every secret, none of them those of the watched one."""
    return an_instance(world.tenant.organization)


KEYS_OF_CONNECTWISE = ("public_key", "private_key")
SENT_TO_RECEIVERS = ("signature_key", "previous_signature_key", "callback_headers", "basic_password")


def test_what_is_sent_with_each_secret_is_tried() -> None:
    assert {name for model, name in COLUMNS if model is Instance} >= {*KEYS_OF_CONNECTWISE, *SENT_TO_RECEIVERS}


@pytest.mark.parametrize("column", KEYS_OF_CONNECTWISE)
@pytest.mark.parametrize("source", ["its own column of another row", "another column of its row"])
def test_no_request_goes_to_connectwise(
    watched: PolledInstance, sandbox: SandboxServer, column: str, source: str
) -> None:
    other = {"public_key": "private_key", "private_key": "public_key"}[column]
    row, name = (watched.instance, other) if source.startswith("another") else (twin_of(watched), column)
    put(watched.instance, column, stored(row, name))
    asked = len(sandbox.store.requests)
    state = watched.poll()
    assert len(sandbox.store.requests) == asked
    assert state.failures
    assert column in state.last_error


@pytest.mark.parametrize("column", SENT_TO_RECEIVERS)
@pytest.mark.parametrize("source", ["its own column of another row", "another column of its row"])
def test_no_request_goes_to_a_receiver(notifying: PolledInstance, receiver: Receiver, column: str, source: str) -> None:
    mine = notifying.instance
    for name in SENT_TO_RECEIVERS:
        setattr(mine, name, Secret.of('{"X-Key": "k"}'))
    mine.basic_username, mine.previous_key_until = "bob", timezone.now() + timedelta(hours=1)
    mine.save()
    row, name = (mine, "public_key") if source.startswith("another") else (twin_of(notifying), column)
    put(mine, column, stored(row, name))
    change(notifying, 7)
    deliver()
    assert receiver.got == []
    assert column in DeliveryState.objects.get(pk=mine.pk).pause_reason
    with pytest.raises(ConflictError, match=column):
        send_test(first_subscription(Instance.objects.get(pk=mine.pk)), "contacts", timezone.now())
    assert receiver.got == []
