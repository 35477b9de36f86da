//! The example `gateway` in headless Chromium: the page of `inspect`, and pages of PHP.
//!
//! Without Chromium, its driver or php-fpm the tests are skipped with a line on stderr, or fail if
//! `FCGI_REQUIRE_INTEROP=1`.
#![cfg(unix)]

#[path = "web/driver.rs"]
mod driver;
#[path = "../../fcgi-blocking/tests/support/executable.rs"]
mod executable;
mod web;

use std::fs;
use std::os::unix::fs::symlink;

use driver::Driver;
use web::{Fpm, Gateway, skip};

/// The value of a parameter in the page's table.
fn parameter(browser: &Driver, name: &str) -> String {
    browser.run(&format!(
        "const row = [...document.querySelectorAll('#params tr')].find(row => row.cells[0].innerText == '{name}');
         return row ? row.cells[1].innerText : '(none)'"
    ))
}

#[test]
fn the_page_of_inspect_loads_shows_its_parameters_and_its_links_and_form_work() {
    let browser = match Driver::start() {
        Ok(browser) => browser,
        Err(reason) => return skip(&reason),
    };
    let gateway = Gateway::start(&[]);
    let page = format!("http://{}/", gateway.address);
    browser.open(&format!("{page}?word=caf%C3%A9"));
    assert_eq!(browser.title(), "FastCGI inspect");
    assert!(browser.text().contains("Responder"), "{}", browser.text());
    for (name, value) in [
        ("REQUEST_METHOD", "GET"),
        ("REQUEST_URI", "/?word=caf%C3%A9"),
        ("QUERY_STRING", "word=caf%C3%A9"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("HTTP_HOST", &gateway.address.to_string()),
        ("HTTP_PROXY", "(none)"),
    ] {
        assert_eq!(parameter(&browser, name), value, "{name}");
    }
    assert!(parameter(&browser, "HTTP_USER_AGENT").contains("Chrome"));

    browser.fill("input[name=text]", "Good day");
    browser.click("form button");
    assert_eq!(browser.url(), format!("{page}echo"));
    assert_eq!(browser.text().trim(), "text=Good day");
    browser.back();
    browser.fill("input[name=text]", "Good day");
    browser.click("button[formaction=sum]");
    let sum = format!("15 {:08x}", crc32fast::hash(b"text=Good day\r\n"));
    assert_eq!((browser.url(), browser.text().trim()), (format!("{page}sum"), &*sum));

    browser.open(&page);
    browser.click("a[href='stream/5/500']");
    assert_eq!(browser.text().trim(), "1\n2\n3\n4\n5");
    browser.back();
    browser.click("a[href='status/404']");
    assert_eq!(browser.text().trim(), "404 Not Found");
}

const INDEX: &str = "<?php
    session_save_path(dirname(__DIR__));
    session_start();
    $_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
?><!doctype html>
<title>A site</title>
<p id='visits'>Visits: <?= $_SESSION['visits'] ?></p>
<p><a href='forms/hello.php/form?greeting=Good+day'>Say hello</a></p>
";

const HELLO: &str = "<!doctype html>
<title>Hello</title>
<?php if ($_SERVER['REQUEST_METHOD'] === 'POST'): ?>
<p id='hello'><?= htmlspecialchars($_GET['greeting'] . ', ' . $_POST['name']) ?></p>
<p id='path'><?= htmlspecialchars($_SERVER['PATH_INFO']) ?></p>
<p><a href='/'>Home</a></p>
<?php else: ?>
<form method='post'><input name='name'> <button>Go</button></form>
<?php endif ?>
";

#[test]
fn php_pages_with_a_link_a_form_and_a_session_are_clicked_through() {
    let started = Driver::start()
        .and_then(|browser| Ok((browser, Fpm::start(&[("index.php", INDEX), ("forms/hello.php", HELLO)])?)));
    let (browser, fpm) = match started {
        Ok(started) => started,
        Err(reason) => return skip(&reason),
    };
    let gateway = fpm.gateway();
    let site = format!("http://{}", gateway.address);
    browser.open(&site);
    assert_eq!((browser.title(), browser.text().lines().next()), ("A site".into(), Some("Visits: 1")));
    browser.click("a");
    assert_eq!(browser.url(), format!("{site}/forms/hello.php/form?greeting=Good+day"));
    browser.fill("input", "<Zoë> & \"co\"");
    browser.click("button");
    assert_eq!(browser.run("return document.querySelector('#hello').innerText"), "Good day, <Zoë> & \"co\"");
    assert_eq!(browser.run("return document.querySelector('#path').innerText"), "/form");
    browser.click("a");
    assert_eq!(browser.text().lines().next(), Some("Visits: 2"));
}

/// As MediaWiki does, it looks for its settings where it is run, beside the link that leads to it.
const WIKI: &str = "<?php
    require realpath('.') . '/LocalSettings.php';
    $page = htmlspecialchars(rawurldecode(substr($_SERVER['REQUEST_URI'], 6)));
?><!doctype html>
<meta charset='utf-8'>
<title><?= \"$page - $name\" ?></title>
<link rel='stylesheet' href='/skins/style.css'>
<h1><?= $page ?></h1>
<img src='/skins/logo.svg' alt='logo'>
<p><a href='/wiki/Caf%C3%A9'>Café</a></p>
";
const LOGO: &str =
    "<svg xmlns='http://www.w3.org/2000/svg' width='40' height='30'><rect width='40' height='30'/></svg>";

#[test]
fn a_wiki_of_links_has_its_styles_and_pictures() {
    let settings = [("LocalSettings.php", "<?php $name = 'A wiki';")];
    let started = Driver::start().and_then(|browser| Ok((browser, Fpm::start(&settings)?)));
    let (browser, fpm) = match started {
        Ok(started) => started,
        Err(reason) => return skip(&reason),
    };
    let root = fpm.root();
    let share = root.parent().expect("a folder").join("share");
    fs::create_dir_all(share.join("skins")).expect("a folder can be made");
    let style = "h1 { color: rgb(0, 100, 0) }";
    for (name, text) in [("index.php", WIKI), ("skins/style.css", style), ("skins/logo.svg", LOGO)] {
        fs::write(share.join(name), text).expect("a file can be written");
    }
    for name in ["index.php", "skins"] {
        symlink(share.join(name), root.join(name)).expect("a link can be made");
    }
    let share = share.to_str().expect("UTF-8");
    let gateway = fpm.gateway_with(&["--links", share, "--index", "/index.php"]);
    browser.open(&format!("http://{}/wiki/Main%20Page", gateway.address));
    assert_eq!(browser.title(), "Main Page - A wiki", "{}", gateway.log());
    let look = || {
        browser.run(
            "return getComputedStyle(document.querySelector('h1')).color + ' ' + document.images[0].naturalWidth",
        )
    };
    assert_eq!(look(), "rgb(0, 100, 0) 40");
    browser.click("a");
    assert_eq!((browser.title(), look()), ("Café - A wiki".into(), "rgb(0, 100, 0) 40".into()));
}
