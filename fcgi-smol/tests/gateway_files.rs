//! The example `gateway` and the files beside the scripts: types, what a browser has already, ranges (RFC 9110,
//! sections 13 and 14), and the scripts that are run for what is no file.
#![cfg(unix)]

#[path = "../../fcgi-blocking/tests/support/executable.rs"]
mod executable;
mod web;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use tempfile::TempDir;
use web::http::{ask, begin};
use web::{Gateway, folder};

const STYLE: &str = "p { color: green }\n";
/// 21 Oct 2015, 07:28:00 UTC.
const MODIFIED: u64 = 1_445_412_480;
const DATE: &str = "Wed, 21 Oct 2015 07:28:00 GMT";

/// A folder of these files, and a gateway in front of it that has `inspect` for its scripts.
struct Site {
    dir: TempDir,
    gateway: Gateway,
}

impl Site {
    fn with(files: &[(&str, &str)], arguments: &[&str]) -> Self {
        let dir = folder();
        let root = dir.path().join("www");
        fs::create_dir(&root).expect("a folder can be made");
        for (name, text) in files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a folder can be made");
            fs::write(&path, text).expect("a file can be written");
            let modified = UNIX_EPOCH + Duration::from_secs(MODIFIED);
            File::options()
                .write(true)
                .open(&path)
                .expect("it is there")
                .set_modified(modified)
                .expect("a time");
        }
        let start = [&["--root", root.to_str().expect("UTF-8")], arguments].concat();
        Self { gateway: Gateway::start(&start), dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("www").join(name)
    }

    /// The lines of the head, in lower case, and the body of an answer to GET with these fields.
    fn get(&self, path: &str, fields: &str) -> (String, String) {
        self.ask("GET", path, fields)
    }

    fn ask(&self, method: &str, path: &str, fields: &str) -> (String, String) {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{fields}\r\n");
        let mut answer = String::new();
        begin(self.gateway.address, request.as_bytes()).read_to_string(&mut answer).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head.to_lowercase() + "\r\n", body.to_owned())
    }

    fn tag(&self, path: &str) -> String {
        self.gateway.browser().get(path).header("etag").to_owned()
    }
}

#[test]
fn a_file_has_its_type_its_length_and_what_a_browser_knows_it_by_later() {
    let names = ["a.css", "a.js", "a.png", "a.svg", "a.woff2", "a.html", "noextension", "caf\u{e9}.txt"];
    let files: Vec<_> = names.iter().map(|name| (*name, STYLE)).collect();
    let site = Site::with(&files, &[]);
    let browser = site.gateway.browser();
    for (path, content_type) in [
        ("/a.css", "text/css"),
        ("/a.js?v=1", "text/javascript"),
        ("/a.png", "image/png"),
        ("/a.svg", "image/svg+xml"),
        ("/a.woff2", "font/woff2"),
        ("/a.html", "text/html"),
        ("/noextension", "application/octet-stream"),
        ("/caf%C3%A9.txt", "text/plain"),
    ] {
        let answer = browser.get(path);
        assert_eq!((answer.status, answer.header("content-type")), (200, content_type), "{path}");
        assert_eq!((answer.text().as_str(), answer.header("content-length")), (STYLE, "19"), "{path}");
        assert_eq!(
            (answer.header("last-modified"), answer.header("accept-ranges")),
            (DATE, "bytes"),
            "{path}"
        );
        let head = browser.head(path);
        assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "19", 0), "{path}");
        for name in ["content-type", "etag", "last-modified", "accept-ranges"] {
            assert!(
                !head.header(name).is_empty() && head.header(name) == answer.header(name),
                "{path}: {head:?}"
            );
        }
    }
    let posted = browser.post("/a.css", b"a=b");
    assert_eq!((posted.status, posted.header("allow")), (405, "GET, HEAD"));
    assert_eq!(browser.get("/b.css").status, 404);
}

#[test]
fn what_a_browser_has_already_is_not_sent_again() {
    let site = Site::with(&[("a.css", STYLE)], &[]);
    let tag = site.tag("/a.css");
    for (fields, status) in [
        (format!("If-None-Match: {tag}\r\n"), "304 not modified"),
        (format!("If-None-Match: \"x\", W/{tag}\r\n"), "304 not modified"),
        ("If-None-Match: *\r\n".to_owned(), "304 not modified"),
        ("If-None-Match: \"x\"\r\n".to_owned(), "200 ok"),
        (format!("If-Modified-Since: {DATE}\r\n"), "304 not modified"),
        ("If-Modified-Since: Wed, 21 Oct 2015 07:27:59 GMT\r\n".to_owned(), "200 ok"),
        // The tag counts where both are there.
        (format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {DATE}\r\n"), "200 ok"),
        ("If-Modified-Since: yesterday\r\n".to_owned(), "200 ok"),
        (format!("If-Match: {tag}\r\n"), "200 ok"),
        ("If-Match: \"x\"\r\n".to_owned(), "412 precondition failed"),
        (format!("If-Unmodified-Since: {DATE}\r\n"), "200 ok"),
        ("If-Unmodified-Since: Wed, 21 Oct 2015 07:27:59 GMT\r\n".to_owned(), "412 precondition failed"),
    ] {
        let (head, body) = site.get("/a.css", &fields);
        assert!(head.starts_with(&format!("http/1.1 {status}\r\n")), "{fields}: {head}");
        assert!(head.contains(&format!("\r\netag: {tag}\r\n")), "{fields}: {head}");
        if status.starts_with("304") {
            assert!(body.is_empty() && !head.contains("content-") && !head.contains("transfer"), "{head}");
        }
    }
    fs::write(site.file("a.css"), STYLE).expect("it can be written");
    let (head, _) = site.get("/a.css", &format!("If-None-Match: {tag}\r\n"));
    assert!(head.starts_with("http/1.1 200"), "the file was written since: {head}");
}

#[test]
fn a_range_is_sent_alone_and_one_that_is_none_or_of_another_version_is_the_whole() {
    let site = Site::with(&[("a.txt", "0123456789"), ("empty.txt", "")], &[]);
    let tag = site.tag("/a.txt");
    let whole = ("200 ok", None, "0123456789");
    for (fields, (status, range, body)) in [
        ("Range: bytes=0-3\r\n".to_owned(), ("206 partial content", Some("bytes 0-3/10"), "0123")),
        ("Range: bytes=7-\r\n".to_owned(), ("206 partial content", Some("bytes 7-9/10"), "789")),
        ("Range: bytes=-2\r\n".to_owned(), ("206 partial content", Some("bytes 8-9/10"), "89")),
        ("Range: bytes=-99\r\n".to_owned(), ("206 partial content", Some("bytes 0-9/10"), "0123456789")),
        ("Range: bytes=8-99\r\n".to_owned(), ("206 partial content", Some("bytes 8-9/10"), "89")),
        ("Range: bytes=0-\r\n".to_owned(), ("206 partial content", Some("bytes 0-9/10"), "0123456789")),
        (
            format!("Range: bytes=1-1\r\nIf-Range: {tag}\r\n"),
            ("206 partial content", Some("bytes 1-1/10"), "1"),
        ),
        (
            format!("Range: bytes=1-1\r\nIf-Range: {DATE}\r\n"),
            ("206 partial content", Some("bytes 1-1/10"), "1"),
        ),
        ("Range: bytes=1-1\r\nIf-Range: \"x\"\r\n".to_owned(), whole),
        (format!("Range: bytes=1-1\r\nIf-Range: W/{tag}\r\n"), whole),
        ("Range: bytes=0-1,4-5\r\n".to_owned(), whole),
        ("Range: bytes=5-2\r\n".to_owned(), whole),
        ("Range: lines=1-2\r\n".to_owned(), whole),
    ] {
        let (head, found) = site.get("/a.txt", &fields);
        assert!(head.starts_with(&format!("http/1.1 {status}\r\n")), "{fields}: {head}");
        let said = head.lines().find_map(|line| line.strip_prefix("content-range: "));
        assert_eq!((said, found.as_str()), (range, body), "{fields}");
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{fields}: {head}");
    }
    for (path, fields, range) in [
        ("/a.txt", "Range: bytes=10-\r\n", "bytes */10"),
        ("/a.txt", "Range: bytes=-0\r\n", "bytes */10"),
        ("/empty.txt", "Range: bytes=0-\r\n", "bytes */0"),
    ] {
        let (head, _) = site.get(path, fields);
        assert!(head.starts_with("http/1.1 416 "), "{fields}: {head}");
        assert!(head.contains(&format!("\r\ncontent-range: {range}\r\n")), "{fields}: {head}");
    }
    let (head, body) = site.ask("HEAD", "/a.txt", "Range: bytes=0-3\r\n");
    assert!(head.starts_with("http/1.1 200 ok\r\n") && body.is_empty(), "a range is GET's: {head}");
    assert!(head.contains("\r\ncontent-length: 10\r\n") && !head.contains("content-range"), "{head}");
    let (head, body) = site.get("/empty.txt", "");
    assert!(
        head.starts_with("http/1.1 200") && head.contains("content-length: 0\r\n") && body.is_empty(),
        "{head}"
    );
}

#[test]
fn a_large_file_arrives_whole_and_one_that_shrinks_on_its_way_is_cut() {
    let site = Site::with(&[("a.bin", "")], &[]);
    let content: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    fs::write(site.file("a.bin"), &content).expect("it can be written");
    let answer = site.gateway.browser().get("/a.bin");
    assert!(answer.body == content, "{} bytes", answer.body.len());
    // More than all sockets on the way hold.
    let file = File::options().write(true).open(site.file("a.bin")).expect("it is there");
    file.set_len(64 << 20).expect("it can be as long");
    let mut stream = begin(site.gateway.address, b"GET /a.bin HTTP/1.1\r\nHost: h\r\n\r\n");
    stream.read_exact(&mut [0; 1000]).expect("it begins");
    file.set_len(0).expect("it can be shortened");
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() < 64 << 20, "{} bytes", rest.len());
}

#[test]
fn a_folder_shows_its_index_and_nothing_else_of_it() {
    let site = Site::with(&[("page/index.html", "a page"), ("files/a.txt", "a")], &[]);
    let browser = site.gateway.browser();
    let page = browser.get("/page/");
    assert_eq!((page.header("content-type"), page.text().as_str()), ("text/html", "a page"));
    let to_folder = browser.get("/page?a");
    assert_eq!((to_folder.status, to_folder.header("location")), (301, "/page/?a"));
    assert_eq!([browser.get("/files/").status, browser.get("/files").status], [404, 404]);
}

#[test]
fn a_script_is_run_and_never_shown_and_a_page_says_what_is_not_there() {
    let secret = "<?php $password = 'secret'; ?>";
    let files =
        [("env.php", secret), ("a.PHP", secret), ("a.php~", secret), (".env", secret), ("a.txt", "text")];
    let site = Site::with(&files, &[]);
    let browser = site.gateway.browser();
    assert_eq!(browser.get("/a.txt").text(), "text");
    for path in
        ["/env.php", "/env.php/a.txt", "/a.PHP", "/a.php~", "/.env", "/env%2Ephp", "/%2e%2e/www/env.php"]
    {
        assert!(!browser.get(path).text().contains("secret"), "{path}");
    }
    let env = browser.get("/env.php/env").text();
    assert!(env.contains("\nSCRIPT_NAME=/env.php\n") && env.contains("\nPATH_INFO=/env\n"), "{env}");
    let page = browser.get("/a.PHP");
    assert_eq!((page.status, page.header("content-type")), (404, "text/html; charset=utf-8"));
    assert!(
        page.text().contains("<h1>404 Not Found</h1>") && page.text().contains("nothing at this address")
    );
}

#[test]
fn what_is_hidden_is_neither_shown_nor_run() {
    let site = Site::with(
        &[
            (".env", "secret"),
            (".hidden.php", ""),
            (".git/config", "secret"),
            (".git/hook.php", ""),
            (".page/index.html", "secret"),
            (".app/index.php", ""),
            (".well-known/security.txt", "text"),
            (".well-known/a.php", ""),
            (".well-known/.a.txt", "secret"),
            ("a.php", ""),
        ],
        &[],
    );
    let browser = site.gateway.browser();
    for path in [
        "/.env",
        "/%2Eenv",
        "/./.env",
        "/.hidden.php",
        "/.hidden.php/env",
        "/.git/config",
        "/.git/hook.php/env",
        "/.page",
        "/.page/",
        "/.app",
        "/.app/",
        "/.well-known/.a.txt",
    ] {
        assert_eq!(browser.get(path).status, 404, "{path}");
    }
    assert_eq!(browser.get("/.well-known/security.txt").text(), "text");
    // A script's path information names no file.
    for (path, line) in [
        ("/.well-known/a.php/env", "SCRIPT_NAME=/.well-known/a.php"),
        ("/a.php/.net/env", "PATH_INFO=/.net/env"),
    ] {
        let env = browser.get(path).text();
        assert!(env.lines().any(|found| found == line), "{path}: {env}");
    }
}

#[test]
fn a_wiki_of_links_with_a_front_controller_is_served_and_a_link_elsewhere_is_a_line_in_the_log() {
    let share = folder();
    let elsewhere = folder();
    fs::create_dir(share.path().join("skins")).expect("a folder can be made");
    for (path, text) in [
        (share.path().join("index.php"), ""),
        (share.path().join("skins/style.css"), STYLE),
        (elsewhere.path().join("settings.txt"), "secret"),
    ] {
        fs::write(path, text).expect("a file can be written");
    }
    let root = folder();
    for (to, name) in [
        (share.path().join("index.php"), "index.php"),
        (share.path().join("skins"), "skins"),
        (elsewhere.path().join("settings.txt"), "settings.txt"),
    ] {
        symlink(to, root.path().join(name)).expect("a link can be made");
    }
    let [root, share] = [&root, &share].map(|folder| folder.path().canonicalize().expect("it is there"));
    let [root, share] = [root, share].map(|folder| folder.to_str().expect("UTF-8").to_owned());
    let gateway = Gateway::start(&["--root", &root, "--links", &share, "--index", "/index.php"]);
    let browser = gateway.browser();
    let env = browser.get("/wiki/Main_Page/env?a=b").text();
    for line in [
        "REQUEST_URI=/wiki/Main_Page/env?a=b",
        "QUERY_STRING=a=b",
        "SCRIPT_NAME=/index.php",
        "DOCUMENT_URI=/index.php",
        &format!("DOCUMENT_ROOT={root}"),
        &format!("SCRIPT_FILENAME={root}/index.php"),
    ] {
        assert!(env.lines().any(|found| found == line), "{line}: {env}");
    }
    assert!(!env.contains("PATH_INFO"), "{env}");
    assert_eq!(browser.get("/skins/style.css").text(), STYLE);
    // It is asked for like anything else that is no file, and the log says why.
    let (_, body) = ask(gateway.address, b"GET /settings.txt HTTP/1.0\r\n\r\n");
    assert!(!body.contains("secret"), "{body}");
    let line = format!("{root}/settings.txt leads to ");
    assert!(
        gateway.log().contains(&line) && gateway.log().contains("outside of --root"),
        "{}",
        gateway.log()
    );
}
