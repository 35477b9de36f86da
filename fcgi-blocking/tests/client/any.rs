//! Among applications that do anything at all no answer has bytes of another one or passes for whole when it was cut,
//! what must not be executed twice is not, every request ends, and no connection is left behind.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use crate::anything::{Chance, SHORT, application, impatient, is_own, what};
use fcgi_blocking::Params;

#[test]
fn whatever_an_application_does_each_answer_is_its_own_and_nothing_is_executed_twice() {
    for (kept, seed) in [SHORT, Duration::MAX].into_iter().flat_map(|kept| [(kept, 1), (kept, 2), (kept, 3)])
    {
        let seen = Arc::default();
        let app = application(seed, &seen);
        let mut client = app.client_with(|settings| impatient(settings, kept));
        let (mut chance, mut answered) = (Chance::new(seed), 0);
        for number in 1..=100 {
            let (method, most, bytes) = what(&mut chance);
            let request = client.request(Params::new(method, format!("/{number}")));
            let request = match chance.below(4) {
                0 => request,
                1 => request.bytes(&bytes),
                2 => request.spooled(&bytes[..]).expect("it is kept"),
                _ => request.body(&bytes[..], bytes.len() as u64),
            };
            if let Ok(mut response) = request.send() {
                let mut text = String::new();
                if chance.below(10) == 0 {
                    // It is left.
                    let _ = response.read(&mut vec![0; chance.below(10_000)]);
                } else if response.read_to_string(&mut text).is_ok() {
                    let (status, told) = (response.status(), response.field("X-Number"));
                    answered += usize::from(is_own(status, told, &text, number, seen.fate(number)));
                }
            }
            let fate = seen.fate(number);
            assert!(fate.executed <= most, "{method} {number}: {fate:?}");
        }
        assert!(answered > 10, "{answered} of 100");
    }
}
