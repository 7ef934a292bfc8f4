"""Settings that are the same in every installation: the frame of the API, and what a password must be."""

from __future__ import annotations

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["instances.api.authentication.SecretsAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "instances.api.permission.HasScope",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "instances.api.exception_handler.api_error",
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_SCHEMA_CLASS": "cwconnect.site.openapi.frame.TableSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "cwconnect",
    "DESCRIPTION": "Watches ConnectWise PSA and notifies your receivers of every change.",
    "VERSION": "1",
    "CONTACT": {"name": "The operator of this service"},
    "OAS_VERSION": "3.1.0",
    "SERVERS": [{"url": "/"}, {"url": "/elements/api-v2", "description": "The base path of the compatible part."}],
    "PREPROCESSING_HOOKS": ["cwconnect.site.openapi.frame.plain_paths"],
    "POSTPROCESSING_HOOKS": ["cwconnect.site.openapi.frame.put_components"],
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
}

PASSWORD_LENGTH = 12
_VALIDATION = "django.contrib.auth.password_validation"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"{_VALIDATION}.UserAttributeSimilarityValidator"},
    {"NAME": f"{_VALIDATION}.MinimumLengthValidator", "OPTIONS": {"min_length": PASSWORD_LENGTH}},
    {"NAME": f"{_VALIDATION}.CommonPasswordValidator"},
    {"NAME": f"{_VALIDATION}.NumericPasswordValidator"},
    {"NAME": "cwconnect.core.passwords.DisguisedPasswordValidator"},
]
