"""`fig shadow certify`, `verify` and `key` as people and CI call them."""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from proxy.cli import app
from proxy.publication import publish
from proxy.rulebook import load
from rules.effective import Effective
from rules.stages import Side
from shadow.backfill.asking import Seed
from shadow.backfill.store import SeedStore
from shadow.certifying.strata import StratumKind
from shadow.certifying.terms import day_of, digest_of
from shadow.comparing.compare import judge
from shadow.delivery.read_back import Finding, Reply
from shadow.journal.doubts import Doubts
from shadow.journal.journal import Journal
from shadow.journal.writes import Gap, Original, Write
from shadow.pair import Kind
from shadow.pairs.kept import Unproven
from shadow.pairs.reader import PairReader
from shadow.pairs.shedding import MOST_WINDOWS
from shadow.pairs.store import PairStore
from shadow.sealing import Sealer
from shadow.spec import Comparison
from tests.fakes.pairs import answer, pair

RULES = """
version: 1
services: {legacy: {url: "http://127.0.0.1:9000"}, shop: {url: "http://127.0.0.1:9001"}}
legacy: legacy
routes:
  - {name: shop, match: {path: /shop/**}, candidate: shop, stage: shadow,
     shadow: {certificate: {accuracy: 80%, pairs: 20}}}
"""
NOWHERE = ("--admin", "127.0.0.1:1")
"""Where no fig listens: what is certified is not pinned."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder whose state folder knows the rules."""
    monkeypatch.chdir(tmp_path)
    state = tmp_path / ".fig"
    state.mkdir()
    (tmp_path / "fig.yaml").write_text(RULES)
    book = load(tmp_path / "fig.yaml")
    certificates = {name: one.model_dump(mode="json") for name, one in book.certificates.items()}
    publish(state, Effective(1, book.rules, {}, {}, certificates))
    return tmp_path


def fill(folder: Path, equal: int, different: int = 0) -> None:
    """Reads and, every tenth, a write; two reads besides were unsettled."""
    table = load(folder / "fig.yaml")
    asked = table.certificates.get("shop")
    digest = digest_of(table.rules, table.rules.routes[0], Comparison(), day_of(time.time()), asked)
    store = PairStore(folder / ".fig" / "pairs.db", b"k" * 32)
    store.start_window("shop", digest, "load", 1.0)
    right, wrong = answer({"price": 1.5}), answer({"price": 2})
    made = [
        pair(
            right,
            right if number < equal else wrong,
            number,
            route="shop",
            kind=Kind.WRITE if number % 10 == 0 else Kind.READ,
            method="POST" if number % 10 == 0 else "GET",
        )
        for number in range(equal + different)
    ]
    store.add_many([judge(each, Comparison()) for each in made])
    store.add_apart("shop", StratumKind.UNSETTLED, "GET", "2xx", 2)
    store.close()


def fig(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["shadow", *arguments])


def certify(*arguments: str) -> Result:
    return fig("certify", "shop", *NOWHERE, *arguments)


def test_enough_pairs_that_agree_are_go_and_the_certificate_holds(folder: Path) -> None:
    fill(folder, 20)

    result = certify("-o", "cert.json")

    assert result.exit_code == 0, result.output
    assert "shop  GO" in result.output
    assert "22 requests were captured" in result.output
    assert "POST 2xx: 2 pairs, so up to" in result.output
    assert "is not pinned, so in time it is shed" in " ".join(result.output.split())
    verified = fig("verify", "cert.json", "--state", ".fig")
    assert verified.exit_code == 0, verified.output
    assert "20 links, computed again" in verified.output
    assert "whose key that is, only --key can tell" in fig("verify", "cert.json").output


def test_what_verify_found_is_told_to_programs_too(folder: Path) -> None:
    fill(folder, 20)
    certify("-o", "cert.json")
    told = fig("verify", "cert.json", "--json", "--junit", "verify.xml")
    assert (told.exit_code, json.loads(told.stdout)["holds"]) == (0, True)
    assert json.loads(told.stdout)["document"]["verdict"] == "GO"
    assert 'failures="0"' in Path("verify.xml").read_text()

    Path("cert.json").write_text(Path("cert.json").read_text().replace('"GO"', '"NO-GO"'))
    told = fig("verify", "cert.json", "--json", "--junit", "verify.xml")
    found = {check["name"]: check["holds"] for check in json.loads(told.stdout)["checks"]}
    assert (told.exit_code, found["signature"], found["numbers"]) == (1, False, False)
    assert 'failures="2"' in Path("verify.xml").read_text()


def test_each_verdict_has_its_exit_code(folder: Path) -> None:
    fill(folder, 19)
    few = certify()
    assert (few.exit_code, "19 of the 20 pairs" in few.output) == (3, True)
    fill(folder, 1, 1)
    differing = certify()
    assert (differing.exit_code, "any difference is NO-GO" in differing.output) == (1, True)


def test_gaps_are_a_fault(folder: Path) -> None:
    fill(folder, 20)
    store = PairStore(folder / ".fig" / "pairs.db", b"k" * 32)
    store.set_unproven("shop", Unproven(gaps=2, declared=1))
    store.close()

    result = certify("--json")

    assert result.exit_code == 4
    evidence = json.loads(result.stdout)["certificate"]["evidence"]
    assert (evidence["gaps"], evidence["declared"]) == (2, 1)


def test_a_question_that_its_pairs_cannot_answer_is_refused_with_what_could(folder: Path) -> None:
    fill(folder, 20)
    result = certify("--accuracy", "99.99%", "--pairs", "300")
    assert result.exit_code == 2
    assert "300 pairs cannot show 99.99% at 95% confidence" in result.output
    assert "it takes at least 29956" in result.output
    assert "--pairs: Input should be greater" in certify("--pairs", "0").output


def test_rules_that_cannot_be_read_are_not_taken_for_none(folder: Path) -> None:
    fill(folder, 300)
    (folder / ".fig" / "effective.json").write_bytes(b"{}")
    result = certify("--json")
    assert (result.exit_code, result.stdout) == (2, ""), "the default would be GO, whatever the rules ask for"
    assert ".fig: the rules that run cannot be read (" in result.stderr


def test_what_the_command_line_asks_is_said_in_the_certificate(folder: Path) -> None:
    fill(folder, 20)
    told = json.loads(certify("--json", "--accuracy", "90%", "--pairs", "29").stdout)["certificate"]
    assert (told["asked"], told["target"]["accuracy"], told["verdict"]) == ("command line", "90%", "TOO FEW")
    assert json.loads(certify("--json").stdout)["certificate"]["asked"] == "rules"


def test_keys_that_are_not_seeded_are_said_to_be_unproven(folder: Path) -> None:
    fill(folder, 30)
    seeds = SeedStore(folder / ".fig" / "backfill.db", Sealer(b"k" * 32))
    seeds.add("shop", ["1", "2", "3"])
    seeds.settle(1, Seed.SEEDED, "", 1.0)
    seeds.close()
    told = certify("--json")
    assert json.loads(told.stdout)["certificate"]["evidence"]["unseeded"] == 2
    assert "2 keys not given to the candidate" in certify().stdout


def test_pairs_of_other_rules_than_those_that_run_prove_nothing(folder: Path) -> None:
    fill(folder, 20)
    (folder / "fig.yaml").write_text(RULES.replace("9001", "9002"))
    publish(folder / ".fig", Effective(2, load(folder / "fig.yaml").rules, {}, {}))

    result = certify()

    assert result.exit_code == 3
    assert "Nothing was compared under these rules yet." in result.output


def test_a_route_that_is_not_there_or_a_folder_without_pairs_cannot_be_judged(folder: Path) -> None:
    assert (certify().exit_code, fig("certify", "shop", "--state", "elsewhere").exit_code) == (2, 2)
    fill(folder, 1)
    result = fig("certify", "shap", *NOWHERE)
    assert result.exit_code == 2
    assert "there is no route 'shap'; did you mean 'shop'" in result.output


def test_a_file_that_cannot_be_written_is_named(folder: Path) -> None:
    fill(folder, 20)
    result = certify("--junit", "none/there.xml")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "fig: none/there.xml: cannot be written: No such file or directory" in result.stderr


def test_reports_for_ci_and_for_people_say_the_same(folder: Path) -> None:
    fill(folder, 18, 2)

    result = certify("--markdown", "c.md", "--junit", "c.xml", "--html", "c.html")

    assert result.exit_code == 1
    assert "## shop: NO-GO" in (folder / "c.md").read_text()
    assert "| POST | 2xx | write | 2 | 0 | 0 |" in (folder / "c.md").read_text()
    suite = ET.fromstring((folder / "c.xml").read_text())
    assert suite.get("failures") == "2"
    page = (folder / "c.html").read_text()
    assert "NO-GO" in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert "http://" not in page.replace("http://127.0.0.1", "")


def test_the_key_is_made_once_for_its_owner_only_and_told_to_whoever_is_to_trust_it(folder: Path) -> None:
    told = fig("key")
    assert told.exit_code == 0
    assert told.stdout.startswith("-----BEGIN PUBLIC KEY-----")
    assert fig("key").stdout == told.stdout
    assert stat.S_IMODE((folder / ".fig" / "certificate.key").stat().st_mode) == 0o600
    (folder / "public.pem").write_text(told.stdout)
    fill(folder, 20)
    certify("-o", "cert.json")
    assert fig("verify", "cert.json", "--key", "public.pem").exit_code == 0

    (folder / ".fig" / "certificate.key").unlink()
    certify("-o", "other.json")
    foreign = fig("verify", "other.json", "--key", "public.pem")
    assert foreign.exit_code == 1
    assert "signed by another key" in foreign.output


def test_a_certificate_that_was_altered_is_refused_and_what_is_no_key_is_said(folder: Path) -> None:
    fill(folder, 20)
    certify("-o", "cert.json")
    text = (folder / "cert.json").read_text()
    (folder / "cert.json").write_text(text.replace('"doubts": 0', '"doubts": 1'))
    altered = fig("verify", "cert.json")
    assert (altered.exit_code, "FAILED  signature" in altered.output) == (1, True)
    (folder / "key").write_text("not a key")
    assert (fig("verify", "cert.json", "--key", "key").exit_code, fig("verify", "none.json").exit_code) == (2, 2)


async def test_who_decided_about_what_was_uncertain_stands_in_the_certificate_apart_from_read_back(
    folder: Path,
) -> None:
    fill(folder, 20)
    journal = Journal.open(folder / ".fig" / "journal.db", Sealer(b"k" * 32))
    original = Original("r", "17", "/shop", "shop", [], b"", "", "")
    doubtful = [await journal.begin(Write("shop", 1, "POST", Side.LEGACY, True, 42, 1.0, original)) for _ in range(3)]
    await journal.doubt(doubtful, "worker lost", now=2.0)
    doubts = Doubts(journal, Sealer(b"k" * 32))
    for _ in range(2):  # asked again, it is still one write
        await doubts.note(doubtful[2], Side.LEGACY, "/shop/17", Reply(Finding.APPLIED, "it is there"), 3.0)
    await doubts.resolve(doubtful[2], applied=True, by="applied, by read-back", now=3.0)
    await doubts.settle(doubtful[:2], applied=False, who="ada", why="not in the <ledger>", now=4.0)
    await journal.gap(Gap("gap-1", "shop", "key", "no link", 1.0), 2.0)
    await journal.settle_gap("gap-1", who="bob", why="sent by hand", now=86_400.0)
    await journal.close()

    told = certify("-o", "c.json", "--markdown", "c.md", "--html", "c.html").output

    assert "1970-01-01T00:00:04Z  ada: 2 writes in doubt said to be not applied, because: not in the <ledger>" in told
    assert "1970-01-02T00:00:00Z  bob: 1 write that was not recorded looked after, because: sent by hand" in told
    assert "by read-back, not by a person: 1 write whose effect was uncertain" in told
    document = json.loads((folder / "c.json").read_text())["certificate"]
    assert (document["evidence"]["declared"], document["evidence"]["resolved"]) == (3, 1)
    assert [(one["who"], one["what"], one["count"]) for one in document["settled"]] == [
        ("bob", "gap", 1), ("ada", "doubt", 2),
    ]  # fmt: skip
    assert "* settled: 1970-01-02T00:00:00Z  bob: 1 write" in (folder / "c.md").read_text()
    page = (folder / "c.html").read_text()
    assert "not in the &lt;ledger&gt;" in page
    assert "by read-back, not by a person: 1 write" in page
    assert fig("verify", "c.json", "--state", ".fig").exit_code == 0


def test_what_legacy_held_before_is_unproven_until_somebody_names_its_keys(folder: Path) -> None:
    fill(folder, 30)
    told = certify("--json", "--markdown", "c.md", "--html", "c.html")
    (unproven,) = [one for one in json.loads(told.stdout)["certificate"]["unproven"] if "keys" in one]
    assert (unproven["stratum"], unproven["keys"]) == ("what legacy held before the first copy", None)
    said = "what legacy held before the first copy: nobody said which keys those are"
    assert all(
        said in text for text in (certify().output, (folder / "c.md").read_text(), (folder / "c.html").read_text())
    )

    seeds = SeedStore(folder / ".fig" / "backfill.db", Sealer(b"k" * 32))
    seeds.add("shop", ["1"])
    seeds.settle(1, Seed.SEEDED, "", 1.0)
    seeds.close()
    assert not [one for one in json.loads(certify("--json").stdout)["certificate"]["unproven"] if "keys" in one]


def test_each_mask_stands_in_the_certificate_with_what_it_excused_and_whose_it_is(folder: Path) -> None:
    mask = {"path": "/at", "kind": "ignore", "owner": "ada", "reason": "a clock of its own", "expires": "2999-01-01"}
    comparison = Comparison.model_validate({"masks": [mask]})
    rules = (RULES + f"comparisons: {json.dumps({'c': {'masks': [mask]}})}\n").replace(
        "shadow: {", "shadow: {compare: c, "
    )
    (folder / "fig.yaml").write_text(rules)
    book = load(folder / "fig.yaml")
    certificates = {name: one.model_dump(mode="json") for name, one in book.certificates.items()}
    publish(folder / ".fig", Effective(1, book.rules, {}, {"c": {"masks": [mask]}}, certificates))
    store = PairStore(folder / ".fig" / "pairs.db", b"k" * 32)
    store.start_window(
        "shop", digest_of(book.rules, book.rules.routes[0], comparison, day_of(time.time())), "load", 1.0
    )
    store.add_many(
        [judge(pair(answer({"at": 1}), answer({"at": 2}), number, route="shop"), comparison) for number in range(20)]
    )
    store.close()

    told = certify("-o", "c.json", "--html", "c.html")

    assert told.exit_code == 0
    said = "/at ignore: 20 differences in 20 pairs (a clock of its own; ada, until 2999-01-01)"
    assert said in told.output
    assert "masked: 20 of 20 pairs agree only because masks excused something (100 %)" in told.output
    assert "a clock of its own; ada, until 2999-01-01" in (folder / "c.html").read_text()
    (stated,) = json.loads((folder / "c.json").read_text())["certificate"]["masks"]
    assert stated == {
        "mask": "/at ignore", "pairs": 20, "excused": 20,
        "owner": "ada", "reason": "a clock of its own", "expires": "2999-01-01",
    }  # fmt: skip
    assert fig("verify", "c.json", "--state", ".fig").exit_code == 0


def test_where_differences_are_allowed_nobody_asks_for_more_pairs_after_seeing_one(folder: Path) -> None:
    (folder / "fig.yaml").write_text(RULES.replace("pairs: 20", "pairs: 20, differences: allowed"))
    book = load(folder / "fig.yaml")
    certificates = {name: one.model_dump(mode="json") for name, one in book.certificates.items()}
    publish(folder / ".fig", Effective(1, book.rules, {}, {}, certificates))
    fill(folder, 99, 1)
    result = certify("--pairs", "100")
    assert result.exit_code == 2
    assert "what is asked must be fixed before pairs are counted" in " ".join(result.output.split())


def test_peeking_changes_nothing_a_difference_is_no_go_before_at_and_after_the_number_asked_for(folder: Path) -> None:
    fill(folder, 9, 1)
    before = certify()
    fill(folder, 30)
    after = certify()
    more = certify("--pairs", "35")
    assert [(one.exit_code, "shop  NO-GO" in one.output) for one in (before, after, more)] == [(1, True)] * 3
    assert "asked on the command line: 80% at 95% confidence, on 35 pairs, none may differ" in more.output


@pytest.mark.parametrize(
    "altered",
    [
        "UPDATE windows SET differing = 0",
        "UPDATE windows SET pairs = pairs - 1",
        "UPDATE strata SET differing = 0",
        "DELETE FROM ordinals",
        "DELETE FROM chain WHERE ordinal = 20",
        "UPDATE chain SET differs = 0",
        "UPDATE chain SET method = 'PUT' WHERE ordinal = 3",
        "UPDATE pairs SET record = zeroblob(9)",
        "UPDATE windows SET digest = 'x'",
    ],
)
def test_nothing_is_handed_out_on_pairs_that_were_altered_before(folder: Path, altered: str) -> None:
    fill(folder, 19, 1)
    database = sqlite3.connect(folder / ".fig" / "pairs.db")
    database.execute(altered)
    database.commit()
    database.close()
    result = certify("-o", "c.json")
    assert (result.exit_code, (folder / "c.json").exists()) in ((4, False), (3, True))
    if result.exit_code == 4:
        assert "what was counted does not follow from the pairs that are kept" in result.output
    else:  # of another window there are no pairs yet
        assert "Nothing was compared under these rules yet." in result.output


def test_restarts_that_are_forgotten_are_counted(folder: Path) -> None:
    book = load(folder / "fig.yaml")
    store = PairStore(folder / ".fig" / "pairs.db", b"k" * 32)
    for number in range(MOST_WINDOWS + 5):
        store.start_window("shop", f"digest {number}", "other rules", float(number))
    store.start_window(
        "shop", digest_of(book.rules, book.rules.routes[0], Comparison(), day_of(time.time())), "now", 99.0
    )
    store.close()
    told = certify("--json")
    document = json.loads(told.stdout)["certificate"]
    assert document["restarts_forgotten"] + len(document["restarts"]) == MOST_WINDOWS + 5
    said = f"and {document['restarts_forgotten']} times before that"
    assert said in certify("--html", "c.html").output
    assert said in (folder / "c.html").read_text()


def test_a_certificate_of_another_state_folder_is_refused(folder: Path) -> None:
    fill(folder, 20)
    certify("-o", "c.json")
    (folder / "other").mkdir()
    shutil.copy(folder / ".fig" / "pairs.db", folder / "other" / "pairs.db")
    nowhere = fig("verify", "c.json", "--state", "nowhere")
    assert (nowhere.exit_code, "nowhere: no such state folder" in nowhere.output) == (2, True)
    missing = fig("verify", "c.jso")
    assert (missing.exit_code, "c.jso: there is no such file" in missing.output) == (2, True)
    keyless = fig("verify", "c.json", "--state", "other")
    assert (keyless.exit_code, "there is no key yet" in keyless.output) == (2, True)
    fig("key", "--state", "other")
    foreign = fig("verify", "c.json", "--state", "other")
    assert (foreign.exit_code, "FAILED  key: signed by another key" in foreign.output) == (1, True)


def test_pins_are_listed_and_one_is_let_go_by_its_file_or_its_digits_with_a_reason(folder: Path) -> None:
    fill(folder, 20)
    assert fig("pins", "--state", ".fig").output == "nothing is pinned\n"
    with PairReader(folder / ".fig" / "pairs.db") as reader:
        head = reader.chain(reader.windows("shop")[0]).head
    assert head is not None
    store = PairStore(folder / ".fig" / "pairs.db", b"k" * 32)
    assert store.pin("shop", 1, "ab" * 32, 20, head, time.time())
    store.close()

    listed = fig("pins", "--state", ".fig", "--route", "shop").output.splitlines()

    assert [line.split() for line in listed[1:]] == [["ab" * 8, "shop", "1", "20", "0", "s"]]
    assert "no route 'shp'; did you mean 'shop'?" in fig("pins", "--state", ".fig", "--route", "shp").output
    for words, said in (
        (("ab" * 8,), "say why (--why)"),
        (("cert.json", "--why", "withdrawn"), "cert.json: there is no such file, and these are not the digits"),
        (("ab" * 8, "--why", "withdrawn", *NOWHERE), "control is not reachable"),
    ):
        refused = fig("unpin", *words)
        assert refused.exit_code == 2
        assert said in refused.output
