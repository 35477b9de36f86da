//! A browser that does what it is told: headless Chromium, by the WebDriver protocol (W3C), which is JSON over
//! HTTP.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;

use crate::web::folder;
use crate::web::process::{Process, wait_until};
use crate::web::tools::{command, program};

const ARGUMENTS: [&str; 6] = [
    "--headless=new",
    // What is looked at here is ours.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--window-size=1200,900",
];

/// What WebDriver calls the id of an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

pub(crate) struct Driver {
    agent: Agent,
    /// Of the session.
    url: String,
    _process: Process,
    _dir: TempDir,
}

impl Driver {
    /// Starts a browser; or why it cannot be started here.
    pub(crate) fn start() -> Result<Self, String> {
        let chromium = program(&["chromium", "chromium-browser", "google-chrome"])?;
        let dir = folder();
        let log = dir.path().join("log");
        let mut driver = command(&program(&["chromedriver"])?);
        driver.env("HOME", dir.path()).env("TMPDIR", dir.path()).arg("--port=0");
        let process = Process::start(driver.current_dir(dir.path()), &log);
        let mut port = None;
        wait_until(|| {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let after = text.split_once("successfully on port ").map(|(_, after)| after.to_owned());
            port = after.and_then(|after| after.split_once('.').map(|(port, _)| port.to_owned()));
            port.is_some()
        });
        let port = port.expect("chromedriver says on which port it is");
        let config = Agent::config_builder().http_status_as_error(false).proxy(None).build();
        let mut driver = Self {
            agent: config.into(),
            url: format!("http://127.0.0.1:{port}/session"),
            _process: process,
            _dir: dir,
        };
        let options = json!({ "binary": chromium, "args": ARGUMENTS });
        let capabilities = json!({ "alwaysMatch": { "goog:chromeOptions": options } });
        let session = driver.post("", &json!({ "capabilities": capabilities }));
        driver.url = format!("{}/{}", driver.url, session["sessionId"].as_str().expect("a session's id"));
        // Pages and elements are waited for, milliseconds.
        driver.post("/timeouts", &json!({ "implicit": 20_000, "pageLoad": 60_000 }));
        Ok(driver)
    }

    pub(crate) fn open(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    pub(crate) fn url(&self) -> String {
        self.run("return location.href")
    }

    pub(crate) fn title(&self) -> String {
        self.run("return document.title")
    }

    /// The text of all that is seen.
    pub(crate) fn text(&self) -> String {
        self.run("return document.body.innerText")
    }

    /// What a script returns, a text.
    pub(crate) fn run(&self, script: &str) -> String {
        self.try_run(script).unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    fn try_run(&self, script: &str) -> Result<String, Value> {
        let value = self.try_post("/execute/sync", &json!({ "script": script, "args": [] }))?;
        value.as_str().map(str::to_owned).ok_or(value)
    }

    /// Clicks on the element that a CSS selector finds, and waits for the page that this leads to.
    pub(crate) fn click(&self, selector: &str) {
        let element = self.find(selector);
        self.run("window.left = true; return ''");
        self.post(&format!("/element/{element}/click"), &json!({}));
        // Between two pages there is none that could say something.
        let arrived = || self.try_run("return window.left ? '' : document.readyState");
        assert!(wait_until(|| arrived().is_ok_and(|state| state == "complete")), "{selector} leads nowhere");
    }

    pub(crate) fn back(&self) {
        self.post("/back", &json!({}));
    }

    /// Types into a field, in place of what was there.
    pub(crate) fn fill(&self, selector: &str, text: &str) {
        let element = self.find(selector);
        self.post(&format!("/element/{element}/clear"), &json!({}));
        self.post(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    fn find(&self, selector: &str) -> String {
        let element = self.post("/element", &json!({ "using": "css selector", "value": selector }));
        element[ELEMENT].as_str().unwrap_or_else(|| panic!("{selector}: {element}")).to_owned()
    }

    fn post(&self, command: &str, parameters: &Value) -> Value {
        let answer = self.try_post(command, parameters);
        answer.unwrap_or_else(|error| panic!("{command} {parameters}: {error}"))
    }

    fn try_post(&self, command: &str, parameters: &Value) -> Result<Value, Value> {
        let request = self.agent.post(format!("{}{command}", self.url));
        let response = request.content_type("application/json").send(parameters.to_string());
        let mut response = response.unwrap_or_else(|error| panic!("{command}: {error}"));
        let answer = response.body_mut().read_to_string().expect("an answer");
        let mut answer: Value = serde_json::from_str(&answer).expect("JSON");
        let value = answer["value"].take();
        if response.status().is_success() { Ok(value) } else { Err(value) }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // The browser is no child of ours: it ends with its session.
        let _ = self.agent.delete(&self.url).call();
    }
}
