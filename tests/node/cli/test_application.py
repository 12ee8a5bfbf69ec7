"""What surrounds every command: output, failures, exit codes, start-up."""

import os
import subprocess
import sys
import textwrap

import pytest

from peerstream import __version__
from peerstream.node.cli import application
from peerstream.node.cli.report import Report
from peerstream.node.ports import UnreachableError
from peerstream.node.remedies import one_line
from peerstream.node.store.errors import InstanceRunningError
from tests.node.cli.shapes import require_failure


@pytest.fixture
def command(monkeypatch):
    """Have `psp demo` call a function of the test."""

    def install(function):
        real = application.make_app

        def make():
            app = real()
            del app["demo"]
            app.command(function, name="demo")
            return app

        monkeypatch.setattr(application, "make_app", make)

    return install


@pytest.mark.parametrize(
    ("tokens", "code", "shown"),
    [
        (["--version"], 0, __version__),
        (["--help"], 0, "Commands"),
        (["status", "--state", "/nonexistent"], 3, "psp up"),
    ],
)
def test_what_is_typed_most_loads_neither_libp2p_nor_a_chain(tokens, code, shown):
    program = textwrap.dedent("""
        import sys
        from peerstream.node.cli import main
        code = main(sys.argv[1:])
        heavy = {"libp2p", "trio", "eth_account", "cryptography", "httpx2", "eth", "pydantic",
                 "http.client", "peerstream.identity", "peerstream.node.ports"}
        sys.stderr.write(" ".join(sorted(heavy & set(sys.modules))))
        sys.exit(code)
    """)
    command = [sys.executable, "-c", program, *tokens]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "")
    assert shown in done.stdout


def test_help_names_every_command_without_importing_it(psp):
    done = psp("--help")
    assert done.code == 0
    for name, (_, summary) in application._COMMANDS.items():
        assert name in done.out
        assert summary[:40] in done.out


@pytest.mark.parametrize(
    ("tokens", "code"),
    [
        (["nonsense"], 2),
        (["id", "show", "--nonsense"], 2),
        (["id", "new"], 2),
        (["ping", "0x12"], 2),
        (["ping", "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2B"], 2),
        (["demo", "--relays", "2"], 2),
        (["demo", "--level", "public"], 2),
        (["demo", "--file", "/nonexistent"], 3),
        (["send", "/nonexistent", "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"], 3),
        (["receive", "--dir", "/nonexistent"], 3),
        (["relay", "run", "--listen", "/ip4/127.0.0.1/tcp/1", "--state", "/nonexistent"], 2),
        (["relay", "run", "--listen", "/dns/x/tcp/1", "--network", "/nonexistent"], 3),
    ],
)
def test_wrong_use_and_missing_things_have_their_codes(psp, tokens, code):
    plain, as_json = psp(*tokens), psp(*tokens, "--json")
    assert (plain.code, as_json.code) == (code, code)
    assert plain.out == ""
    assert plain.err.startswith("psp: ")
    assert "Traceback" not in plain.err
    name = plain.err.split(":")[1].strip()
    schema = f"psp.{tokens[0]}/1" if tokens[0] in application._COMMANDS else "psp.error/1"
    require_failure(as_json.json, schema, name)


def test_a_misspelt_command_is_named_with_the_nearest(psp):
    assert "no command 'devnot'; did you mean devnet?" in psp("devnot").err
    assert "no command 'id new'." in psp("id new").err


def test_a_report_is_one_object_or_text(psp, command):
    command(lambda: Report("psp.demo/1", {"a": 1}, lambda console: console.print("text")))
    assert psp("demo").out == "text\n"
    assert psp("demo", "--json").json == {"schema": "psp.demo/1", "ok": True, "a": 1}
    assert psp("--json", "demo").json["a"] == 1


def test_faults_that_were_found_keep_the_shape(psp, command):
    command(lambda: Report("psp.demo/1", {"a": 1}, lambda _: None, ok=False, code=1))
    done = psp("demo", "--json")
    assert done.code == 1
    assert done.json == {"schema": "psp.demo/1", "ok": False, "a": 1}


def test_json_behind_two_hyphens_is_an_argument(psp, command):
    def show(word):
        return Report("psp.demo/1", {}, lambda console: console.print(word))

    command(show)
    assert psp("demo", "--", "--json").out == "--json\n"


def raiser(error):
    def fail():
        raise error

    return fail


def test_an_error_is_one_line_with_its_remedy(psp, command):
    command(raiser(InstanceRunningError("/a\nb\x1b[31m is in use.")))
    done = psp("demo")
    assert done.err == (
        "psp: InstanceRunningError: /a b?[31m is in use. Another process uses this directory: stop"
        " it, or give this one its own directory.\n"
    )


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (ZeroDivisionError("by zero"), "PSP_DEBUG=1"),
        (OSError(28, "No space left on device"), "operating system"),
    ],
)
def test_errors_of_others_have_a_remedy_too(psp, command, error, remedy):
    command(raiser(error))
    found = psp("demo", "--json").json["error"]
    assert (found["name"], found["message"]) == (type(error).__name__, str(error))
    assert remedy in found["remedy"]


def test_a_group_shows_the_error_that_has_a_code(psp, command):
    group = ExceptionGroup("g", [ValueError("a"), ExceptionGroup("h", [UnreachableError("b")])])
    command(raiser(group))
    done = psp("demo")
    assert done.code == 5
    assert done.err.startswith("psp: UnreachableError: b. ")


def test_ctrl_c_is_130_and_one_object(psp, command):
    command(raiser(KeyboardInterrupt()))
    assert psp("demo").code == 130
    require_failure(psp("demo", "--json").json, "psp.demo/1", "StoppedError")


def test_sigterm_counts_as_ctrl_c(psp, command):
    command(lambda: os.kill(os.getpid(), 15))
    assert psp("demo").code == 130


def test_a_traceback_is_shown_to_those_who_ask(psp, command, monkeypatch):
    command(raiser(ValueError("x")))
    assert "Traceback" not in psp("demo").err
    monkeypatch.setenv("PSP_DEBUG", "1")
    assert "Traceback" in psp("demo").err


def test_a_missing_extra_is_named_with_the_pip_line(psp, command):
    def lacks():
        raise ImportError("cannot import") from ModuleNotFoundError("no", name="libp2p")

    command(lacks)
    done = psp("demo")
    assert (
        done.err == "psp: MissingExtraError: no module libp2p. It is not installed:"
        " `pip install 'peerstream[node]'`, for a login `'peerstream[login]'`.\n"
    )


def test_without_any_extra_the_command_says_so():
    code = textwrap.dedent("""
        import sys
        sys.modules["cyclopts"] = None
        from peerstream.node.cli import main
        sys.exit(main(["demo"]))
    """)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install 'peerstream[node]'" in done.stderr
    assert "for a login 'peerstream[login]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away_causes_no_noise():
    command = f"{sys.executable} -m peerstream.node.cli --help | head -c 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_pipes_get_neither_colours_nor_folded_lines(psp, command, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    text = "[green]" + "x" * 150 + "[/green]"
    command(lambda: Report("psp.demo/1", {}, lambda console: console.print(text)))
    assert psp("demo").out == "x" * 150 + "\n"


def test_text_of_strangers_cannot_drive_a_terminal():
    assert one_line("a\x1b]0;owned\x07\u202eb\r\nc") == "a?]0;owned??b c"


def test_a_shell_completes_commands(tmp_path, psp_process):
    script = tmp_path / "psp.bash"
    environment = {**os.environ, "HOME": str(tmp_path)}
    options = ("--shell", "bash", "--output", script)
    done = psp_process("--install-completion", *options, env=environment)
    assert done.code == 0, done.err
    text = script.read_text()
    for word in ("devnet", "contact", "expose", "relays"):
        assert word in text
    subprocess.run(["bash", "-n", script], check=True)
