"""Service tokens: for one audience, a minute long, from known keys only."""

from pathlib import Path

import jwt
import pytest

from ironclaw_chassis.identity import Identity, TokenVerifier, create_key, load_private_key
from ironclaw_contracts.enums import Service
from ironclaw_contracts.errors import Unauthenticated


def test_given_a_token_when_verified_by_its_audience_then_the_issuer_is_known(keys_folder: Path) -> None:
    token = Identity.load(Service.WORKER, keys_folder).token_for(Service.LEDGER)
    assert TokenVerifier.load(Service.LEDGER, keys_folder).verify(token) is Service.WORKER


def test_given_a_token_when_shown_to_another_audience_then_it_is_refused(keys_folder: Path) -> None:
    token = Identity.load(Service.WORKER, keys_folder).token_for(Service.LEDGER)
    with pytest.raises(Unauthenticated):
        TokenVerifier.load(Service.VAULT, keys_folder).verify(token)


def test_given_an_old_token_when_verified_then_it_is_refused(keys_folder: Path) -> None:
    key = load_private_key(keys_folder / "worker.key")
    token = Identity(Service.WORKER, key, clock=lambda: 1_000_000.0).token_for(Service.LEDGER)
    with pytest.raises(Unauthenticated):
        TokenVerifier.load(Service.LEDGER, keys_folder).verify(token)


def test_given_another_services_key_when_it_claims_a_name_then_it_is_refused(keys_folder: Path) -> None:
    forged = Identity(Service.CO, load_private_key(keys_folder / "worker.key")).token_for(Service.LEDGER)
    with pytest.raises(Unauthenticated):
        TokenVerifier.load(Service.LEDGER, keys_folder).verify(forged)


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_given_another_algorithm_when_verified_then_it_is_refused(keys_folder: Path, algorithm: str) -> None:
    claims = {"iss": "worker", "aud": "ledger", "iat": 0, "exp": 9_999_999_999}
    secret = "" if algorithm == "none" else "x" * 32
    token = jwt.encode(claims, secret, algorithm=algorithm)
    with pytest.raises(Unauthenticated):
        TokenVerifier.load(Service.LEDGER, keys_folder).verify(token)


def test_given_every_flipped_character_when_verified_then_the_token_is_refused(keys_folder: Path) -> None:
    token = Identity.load(Service.WORKER, keys_folder).token_for(Service.LEDGER)
    verifier = TokenVerifier.load(Service.LEDGER, keys_folder)
    for index in range(0, len(token) - 1, 5):
        other = "A" if token[index] != "A" else "B"
        with pytest.raises(Unauthenticated):
            verifier.verify(token[:index] + other + token[index + 1 :])


def test_given_a_key_that_is_there_when_created_again_then_it_stays(tmp_path: Path) -> None:
    create_key(tmp_path, "worker")
    before = (tmp_path / "worker.key").read_bytes()
    create_key(tmp_path, "worker")
    assert (tmp_path / "worker.key").read_bytes() == before
    assert (tmp_path / "worker.key").stat().st_mode & 0o777 == 0o600
