//! Which script or file a path means to the example `gateway`, of a folder of awkward names.
#![cfg(unix)]

#[path = "../examples/gateway/site.rs"]
mod site;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use site::{Found, Site};
use tempfile::TempDir;

/// A folder with a folder `www` of scripts, and something beside it.
struct Place {
    dir: TempDir,
    site: Site,
}

impl Place {
    fn with(names: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path().join("www");
        fs::create_dir(&root).expect("a folder can be made");
        for name in names {
            let path = root.join(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("a folder can be made");
            fs::write(path, "").expect("a file can be made");
        }
        let site = Site::new(root.into(), Vec::new()).expect("a folder");
        Self { dir, site }
    }

    /// The same folder, from which links may lead to this one beside it.
    fn with_links(&mut self, name: &str) -> PathBuf {
        let beside = self.dir.path().join(name);
        fs::create_dir(&beside).expect("a folder can be made");
        self.site = Site::new(self.root().into(), vec![beside.clone().into()]).expect("folders");
        beside
    }

    /// The same folder, in which this script is run for what is no file.
    fn with_index(&mut self, path: &str) {
        self.site = self.site.clone().with_index(path).expect("a script");
    }

    fn root(&self) -> PathBuf {
        self.site.root().to_owned()
    }

    fn find(&self, path: &str) -> Found {
        smol::block_on(self.site.find(path)).expect("a path that can be decoded")
    }

    #[track_caller]
    fn assert_script(&self, path: &str, file: &str, name: &str, path_info: &str) {
        let expected = Found::Script {
            filename: self.root().join(file),
            name: name.into(),
            path_info: path_info.into(),
        };
        assert_eq!(self.find(path), expected, "{path}");
    }

    #[track_caller]
    fn assert_files(&self, paths: &[&str]) {
        for path in paths {
            assert_eq!(self.find(path), Found::File(self.root().join(&path[1..])), "{path}");
        }
    }

    #[track_caller]
    fn assert_nothing(&self, paths: &[&str]) {
        for path in paths {
            assert_eq!(self.find(path), Found::Nothing, "{path}");
        }
    }
}

#[test]
fn a_script_is_what_the_path_names_up_to_its_end_and_path_info_the_rest() {
    let place = Place::with(&["a.php", "b/c.php", "café noir.php"]);
    place.assert_script("/a.php", "a.php", "/a.php", "");
    place.assert_script("/a.php/", "a.php", "/a.php", "/");
    place.assert_script("/a.php/b%2Fc/d.php", "a.php", "/a.php", "/b/c/d.php");
    place.assert_script("/b/c.php/x", "b/c.php", "/b/c.php", "/x");
    place.assert_script("/b%2fc.php", "b/c.php", "/b/c.php", "");
    place.assert_script("/caf%C3%A9%20noir.php", "café noir.php", "/café noir.php", "");
    place.assert_script("//a.php", "a.php", "//a.php", "");
    place.assert_nothing(&["/A.php", "/a.PHP", "/a", "/b/c", "/a.phpx", "/a.php5"]);
}

#[test]
fn nginx_fix_pathinfo_a_file_that_is_no_script_is_never_run_as_one() {
    let place = Place::with(&["upload/x.jpg", "style.css", "a.php"]);
    place.assert_nothing(&["/upload/x.jpg/y.php", "/style.css/a.php", "/none.php/a.php"]);
    place.assert_files(&["/upload/x.jpg", "/style.css"]);
}

#[test]
fn caddy_cve_2026_45135_letters_that_only_look_like_php_end_no_script() {
    let names = ["a.ｐｈｐ", "a.ⓟⓗⓟ", "a.𝗽𝗵𝗽", "a.PHP", "a.pʰp"];
    let place = Place::with(&names);
    for name in names {
        assert!(!matches!(place.find(&format!("/{name}")), Found::Script { .. }), "{name}");
        place.assert_nothing(&[&format!("/{name}/x")]);
    }
}

#[test]
fn caddy_cve_2026_27590_the_path_is_cut_where_it_was_looked_at() {
    // The lower case of the first letter is longer than itself, that of the second shorter.
    for name in ["İ.php", "Ⱥ.php", "ẞ.php"] {
        let place = Place::with(&[name]);
        place.assert_script(&format!("/{name}/İ.txt"), name, &format!("/{name}"), "/İ.txt");
    }
}

#[test]
fn php_cve_2008_3660_odd_names_are_scripts_only_if_they_are_files_that_end_so() {
    let place = Place::with(&["foo..php", ".php", "a.php.php", "a.php ", "b.php.", "c.php.txt"]);
    place.assert_script("/foo..php", "foo..php", "/foo..php", "");
    place.assert_script("/a.php.php", "a.php.php", "/a.php.php", "");
    place.assert_nothing(&["/a.php%20", "/b.php.", "/a.php", "/b.php", "/c.php", "/foo.php"]);
    // It is hidden.
    place.assert_nothing(&["/.php"]);
    place.assert_files(&["/c.php.txt"]);
}

#[test]
fn no_script_is_shown_nor_what_an_editor_leaves_of_it_nor_what_is_hidden() {
    let sources =
        ["a.PHP", "a.php5", "a.phtml", "a.phar", "a.phps", "a.php~", "a.php.bak", "a.php.old", "a.Php.save"];
    let hidden = [".env", ".git/config", "sub/.htaccess", ".a.php.swp"];
    let shown = [
        "a.php.html",
        "photo.jpg",
        "a.phone",
        "php",
        "noextension",
        ".well-known/acme",
        "x.php.js",
        "a b.txt",
    ];
    let mut place = Place::with(&[&sources[..], &hidden, &shown].concat());
    for name in sources.iter().chain(&hidden) {
        place.assert_nothing(&[&format!("/{name}")]);
    }
    for name in shown {
        assert_eq!(
            place.find(&format!("/{}", name.replace(' ', "%20"))),
            Found::File(place.root().join(name))
        );
    }
    // Nor by another name.
    let beside = place.with_links("beside");
    fs::write(beside.join("b.php"), "").expect("a file can be made");
    symlink(beside.join("b.php"), place.root().join("b.txt")).expect("a link can be made");
    place.assert_nothing(&["/b.txt"]);
}

#[test]
fn debians_mediawiki_links_lead_to_folders_that_the_operator_names_and_nowhere_else() {
    let mut place = Place::with(&["LocalSettings.txt"]);
    let beside = place.with_links("share");
    let other = place.dir.path().join("other");
    fs::create_dir_all(beside.join("skins")).expect("a folder can be made");
    fs::create_dir(&other).expect("a folder can be made");
    for file in [beside.join("index.php"), beside.join("skins/style.css"), other.join("x.css")] {
        fs::write(file, "").expect("a file can be made");
    }
    for (to, name) in
        [(beside.join("index.php"), "index.php"), (beside.join("skins"), "skins"), (other, "other")]
    {
        symlink(to, place.root().join(name)).expect("a link can be made");
    }
    // PHP looks for the rest of the application beside the link, not beside what that leads to.
    place.assert_script("/index.php/a", "index.php", "/index.php", "/a");
    place.assert_script("/", "index.php", "/index.php", "");
    place.assert_files(&["/skins/style.css"]);
    place.assert_nothing(&["/other/x.css", "/other/", "/skins/../../share/index.php"]);
}

#[test]
fn a_front_controller_is_run_for_what_is_no_file() {
    let mut place =
        Place::with(&["index.php", "app.php", "style.css", ".env", "sub/index.php", "empty/x", "a.php~"]);
    place.with_index("/app.php");
    for path in
        ["/wiki/Main_Page", "/missing.php", "/style.css/x", "/.env", "/a.php~", "/empty/", "/empty", "/../x"]
    {
        place.assert_script(path, "app.php", "/app.php", "");
    }
    place.assert_script("/", "index.php", "/index.php", "");
    place.assert_script("/index.php/x", "index.php", "/index.php", "/x");
    place.assert_files(&["/style.css"]);
    assert_eq!(place.find("/sub"), Found::Folder);
    for wrong in ["app.php", "/style.css", "/none.php", "/app.php/x", "/../app.php", ""] {
        let why = place.site.clone().with_index(wrong).expect_err(wrong);
        assert!(why.contains(&format!("--index {wrong:?}")) && why.contains("/index.php"), "{why}");
    }
}

#[test]
fn controls_and_bad_escapes_are_errors() {
    let place = Place::with(&["a.php"]);
    for path in ["/a.php%00", "/a.php%00.jpg", "/a%0a.php", "/a.php%", "*"] {
        smol::block_on(place.site.find(path)).expect_err(path);
    }
}

#[test]
fn nothing_outside_of_the_root_is_found() {
    let place = Place::with(&["in/a.php"]);
    let (root, outside) = (place.root(), place.dir.path().join("secret.php"));
    fs::write(&outside, "").expect("a file can be made");
    symlink(&outside, root.join("link.php")).expect("a link can be made");
    symlink(place.dir.path(), root.join("up")).expect("a link can be made");
    symlink(root.join("in"), root.join("inside")).expect("a link can be made");
    let absolute = format!("/{}", outside.display());
    place.assert_nothing(&[
        "/../secret.php",
        "/in/../../secret.php",
        "/in/%2e%2e/%2E%2E/secret.php",
        "/..%2fsecret.php",
        "/link.php",
        "/up/secret.php",
        "/up/",
        "/up",
        &absolute,
    ]);
    // Not even where it would lead back.
    place.assert_nothing(&["/in/../in/a.php", "/up/www/in/../in/a.php"]);
    place.assert_script("/inside/a.php", "inside/a.php", "/inside/a.php", "");
}

#[test]
fn a_folder_is_its_index_and_without_a_slash_to_be_asked_for_with_one() {
    let place = Place::with(&[
        "index.php",
        "sub/index.php",
        "sub/index.html",
        "page/index.html",
        "empty/x",
        "dir.php/a.php",
        "dir.php/a.css",
        "no/index.php/x",
    ]);
    place.assert_script("/", "index.php", "/index.php", "");
    place.assert_script("/sub/", "sub/index.php", "/sub/index.php", "");
    place.assert_script("/dir.php/a.php/b", "dir.php/a.php", "/dir.php/a.php", "/b");
    place.assert_files(&["/dir.php/a.css", "/sub/index.html"]);
    assert_eq!(place.find("/page/"), Found::File(place.root().join("page/index.html")));
    assert_eq!([place.find("/sub"), place.find("/page")], [Found::Folder, Found::Folder]);
    place.assert_nothing(&["/empty/", "/empty", "/dir.php/", "/no/", "/nowhere/", "/sub/index.html/"]);
}

#[test]
fn haproxy_2026_08_07_a_long_name_is_whole_or_nothing() {
    let name = format!("{}.php", "n".repeat(251));
    let folder = ["d".repeat(255), "e".repeat(255), "f".repeat(255)].join("/");
    let place = Place::with(&[&name, &format!("{folder}/index.php")]);
    place.assert_script(&format!("/{name}"), &name, &format!("/{name}"), "");
    place.assert_script(
        &format!("/{folder}/"),
        &format!("{folder}/index.php"),
        &format!("/{folder}/index.php"),
        "",
    );
    place.assert_nothing(&[&format!("/n{name}"), &format!("/{}", "a/".repeat(20_000)), &"/x".repeat(30_000)]);
}
