"""Routes."""

from fastapi import FastAPI


def build_api() -> FastAPI:
    return FastAPI()
