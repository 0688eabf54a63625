"""From a request's path to an open file, and what it is answered with."""

import os
import resource
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from pushline.app.file_response import etag, head_of, redirection
from pushline.app.files import File, Files, Redirect, content_type
from pushline.codecs.http_head import Request
from pushline.errors import AppError


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory with some of everything, and a secret beside it."""
    root = tmp_path / "site"
    for directory in (root / "chat/old", root / ".git", tmp_path / "site-secret"):
        directory.mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "site-secret/index.html").write_text("secret")
    (root / "index.html").write_text("home")
    (root / "chat/index.html").write_text("chat")
    (root / "chat/a b ü.txt").write_text("blanks")
    (root / "100%.txt").write_text("percent")
    (root / ".env").write_text("secret")
    (root / ".git/config").write_text("secret")
    return root


def serving(*directories: tuple[str, Path]) -> Files:
    files = Files()
    for prefix, directory in directories:
        files.add(prefix, directory)
    return files


def content(files: Files, path: str) -> str | None:
    found = files.find(path)
    assert not isinstance(found, Redirect)
    if found is None:
        return None
    with found.stream:
        return found.stream.read().decode()


def request(method: str = "GET", target: str = "/", **headers: str) -> Request:
    made = Request()
    made.method, made.target, made.version = method, target, "1.1"
    for name, value in headers.items():
        made.on_header(name.replace("_", "-").encode(), value.encode())
    return made


# --- finding ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "home"),
        ("/index.html", "home"),
        ("/%69ndex.html", "home"),
        ("/chat/", "chat"),
        ("/chat/a%20b%20%C3%BC.txt", "blanks"),
        ("/100%25.txt", "percent"),
    ],
)
def test_a_path_finds_its_file(site: Path, path: str, expected: str) -> None:
    assert content(serving(("/", site)), path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "/missing",
        "/index.html/",
        "/index.html/x",
        "/chat/old/",
        "",
        "*",
        "index.html",
        "host:80",
        "//index.html",
        "/chat//index.html",
        "/chat//",
        "/./index.html",
        "/../secret.txt",
        "/chat/../../secret.txt",
        "/chat/../index.html",
        "/%2e%2e/secret.txt",
        "/%2E./secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/chat%2findex.html",
        "/../site-secret/index.html",
        "/..\\secret.txt",
        "/..%5csecret.txt",
        "/chat\\index.html",
        "/%252e%252e/secret.txt",
        "/%00",
        "/index.html%00",
        "/index.html%00.png",
        "/%c0%ae%c0%ae/secret.txt",
        "/%e0%80%ae%e0%80%ae/secret.txt",
        "/%ff",
        "/%ed%a0%80",
        "/%",
        "/%2",
        "/%zz",
        "/index.htm%6",
        "/100%.txt",
        "/.env",
        "/%2eenv",
        "/.git/",
        "/.git",
        "/.git/config",
        "/" + "x" * 5000,
        "/" + "x/" * 3000,
    ],
)
def test_a_path_that_leads_elsewhere_finds_nothing(site: Path, path: str) -> None:
    assert serving(("/", site)).find(path) is None


def test_a_link_is_followed_as_far_as_it_stays_inside(site: Path) -> None:
    (site / "home.html").symlink_to("index.html")
    (site / "room").symlink_to("chat")
    (site / "out.txt").symlink_to("../secret.txt")
    (site / "up").symlink_to("..")
    (site / "beside").symlink_to("../site-secret")
    (site / "chat/old/index.html").symlink_to(site.parent / "secret.txt")
    (site / "round").symlink_to("round")
    files = serving(("/", site))
    assert content(files, "/home.html") == "home"
    assert content(files, "/room/") == "chat"
    outside = ["/out.txt", "/up", "/up/", "/up/secret.txt", "/beside"]
    for path in [*outside, "/beside/", "/chat/old/", "/round"]:
        assert files.find(path) is None, path


def test_a_directory_may_itself_be_a_link(site: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(site)
    assert content(serving(("/", tmp_path / "link")), "/chat/") == "chat"


def test_only_regular_files_are_served_and_nothing_is_waited_for(site: Path) -> None:
    os.mkfifo(site / "fifo")
    (site / "device").symlink_to("/dev/zero")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count, no paths
    files = serving(("/", site))
    assert (files.find("/fifo"), files.find("/device")) == (None, None)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_disk_that_fails_is_no_missing_file(site: Path) -> None:
    """Here the process has no descriptor left."""
    files = serving(("/", site))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            files.find("/index.html")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_directory_without_a_slash_leads_to_the_one_with_it(site: Path) -> None:
    (site / "ä b").mkdir()
    files = serving(("/", site), ("/static", site))
    assert files.find("/chat") == Redirect("/chat/")
    assert files.find("/static") == Redirect("/static/")
    assert files.find("/%C3%A4%20b") == Redirect("/%C3%A4%20b/")


@pytest.mark.parametrize(
    "path",
    ["//chat", "//evil.com/..", "//evil.com/%2e%2e", "/%2fchat", "/\\chat", "/%5cchat", "/\t/chat"],
)
def test_no_redirect_leads_to_another_host(site: Path, path: str) -> None:
    (site / "evil.com").mkdir()
    assert serving(("/", site)).find(path) is None


def test_the_longest_prefix_wins(site: Path) -> None:
    files = serving(("/", site), ("/a/b", site / "chat"), ("/a", site / ".git"))
    assert content(files, "/a/b/") == "chat"
    assert content(files, "/a/config") == "secret"  # named by the application itself
    assert content(files, "/a/b/config") is None
    assert content(files, "/a/index.html") is None
    assert content(files, "/index.html") == "home"


def test_only_paths_below_a_prefix_are_claimed(site: Path) -> None:
    assert not Files().claims("/")
    files = serving(("/static/", site))
    assert all(
        files.claims(path) for path in ("/static", "/static/", "/static/missing", "/st%61tic")
    )
    assert not any(files.claims(path) for path in ("/", "/staticx", "/static/..", "//static/"))
    assert content(files, "/index.html") is None
    assert content(files, "/static/index.html") == "home"


@pytest.mark.parametrize("prefix", ["", "static", "//", "/a//b", "/..", "/.a", "/a\\b", "/%2e%2e"])
def test_a_prefix_that_is_none_is_refused_at_once(site: Path, prefix: str) -> None:
    with pytest.raises(AppError, match="prefix"):
        Files().add(prefix, site)


def test_a_directory_that_is_not_there_is_refused_at_once(site: Path) -> None:
    for missing in (site / "missing", site / "index.html"):
        with pytest.raises(AppError, match=f"there is no directory {missing}"):
            Files().add("/", missing)


def test_a_prefix_has_one_directory(site: Path) -> None:
    files = serving(("/static", site))
    with pytest.raises(AppError, match="has a directory already"):
        files.add("/static/", site)


# --- answering ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("page.html", "text/html; charset=utf-8"),
        ("PAGE.HTML", "text/html; charset=utf-8"),
        ("chat.css", "text/css; charset=utf-8"),
        ("chat.js", "text/javascript; charset=utf-8"),
        ("chat.mjs", "text/javascript; charset=utf-8"),
        ("data.json", "application/json; charset=utf-8"),
        ("face.svg", "image/svg+xml; charset=utf-8"),
        ("face.png", "image/png"),
        ("face.webp", "image/webp"),
        ("letters.woff2", "font/woff2"),
        ("code.wasm", "application/wasm"),
        ("all.tar.gz", "application/octet-stream"),
        ("data:text/html,x", "application/octet-stream"),
        ("README", "application/octet-stream"),
    ],
)
def test_the_type_is_that_of_the_name(name: str, expected: str) -> None:
    assert content_type(name) == expected


def opened(path: Path) -> File:
    found = serving(("/", path.parent)).find(f"/{path.name}")
    assert isinstance(found, File)
    found.stream.close()
    return found


def headers(head: bytes) -> dict[str, str]:
    lines = head.decode().removesuffix("\r\n\r\n").split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines)


def test_a_file_is_described(site: Path) -> None:
    os.utime(site / "index.html", ns=(0, 1_700_000_000_123_456_789))
    head, content_follows = head_of(request(), opened(site / "index.html"))
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert head.endswith(b"\r\n\r\n")
    assert content_follows
    assert headers(head) == {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": "4",
        "ETag": '"4-17979cfe3d85cd15"',
        "Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT",
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Accept-Ranges": "none",
        "Connection": "close",
    }
    assert parsedate_to_datetime(headers(head)["Last-Modified"]).timestamp() == 1_700_000_000


def test_a_head_is_the_head_of_its_get(site: Path) -> None:
    file = opened(site / "index.html")
    get, _ = head_of(request(), file)
    assert head_of(request("HEAD"), file) == (get, False)


def test_another_size_or_time_is_another_etag(site: Path) -> None:
    path = site / "index.html"
    tags = {etag(opened(path))}
    os.utime(path, ns=(0, opened(path).modified + 1))
    tags.add(etag(opened(path)))
    modified = opened(path).modified
    path.write_text("home!")
    os.utime(path, ns=(0, modified))
    tags.add(etag(opened(path)))
    assert len(tags) == 3
    assert etag(opened(path)) in tags


@pytest.mark.parametrize("known", ["{}", "W/{}", '"other", {}', '"a,b",W/{} , "c"', "*"])
def test_what_the_client_has_is_not_sent_again(site: Path, known: str) -> None:
    file = opened(site / "index.html")
    for method in ("GET", "HEAD"):
        head, content_follows = head_of(
            request(method, if_none_match=known.format(etag(file))), file
        )
        assert (head.split(b"\r\n")[0], content_follows) == (b"HTTP/1.1 304 Not Modified", False)
        assert headers(head)["ETag"] == etag(file)
        assert "Content-Length" not in headers(head)


@pytest.mark.parametrize("known", ['"other"', 'W/"other"', '"*"', "", "{bare}", '"{bare}'])
def test_what_it_does_not_have_is_sent(site: Path, known: str) -> None:
    file = opened(site / "index.html")
    value = known.format(bare=etag(file).strip('"'))
    assert head_of(request(if_none_match=value), file)[1]


def test_an_empty_file_has_no_content_to_follow(site: Path) -> None:
    (site / "empty.txt").touch()
    head, content_follows = head_of(request(), opened(site / "empty.txt"))
    assert (headers(head)["Content-Length"], content_follows) == ("0", False)


def test_a_redirection_keeps_the_query(site: Path) -> None:
    answer = redirection(request(target="/chat?room_id=1&a=%0d%0a"), Redirect("/chat/"))
    assert answer.startswith(b"HTTP/1.1 301 Moved Permanently\r\n")
    assert headers(answer)["Location"] == "/chat/?room_id=1&a=%0d%0a"
    plain = redirection(request(target="/chat"), Redirect("/chat/"))
    assert headers(plain)["Location"] == "/chat/"
