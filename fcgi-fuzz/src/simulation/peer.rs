//! Hostile peers: records in an order that may be right, and then mutated.

use super::choices::Choices;
use super::plan::Plan;
use super::wire::*;

/// All that can be asked for.
const NAMES: &[u8] = b"\x0e\0FCGI_MAX_CONNS\x0d\0FCGI_MAX_REQS\x0f\0FCGI_MPXS_CONNS";

/// What a hostile client sends next.
pub(super) fn request(plan: &Plan, choices: &mut Choices) -> Vec<u8> {
    let id = choices.one_of(&[1_u16, 1, 1, 2, 3, 0, 300]);
    let padding = choices.one_of(&[0_u8, 0, 5, 255]);
    let bytes = match choices.below(12) {
        0 | 1 => begin(id, choices),
        2 => record(PARAMS, id, b"\x0e\x03REQUEST_METHODGET", padding),
        // Now and then the pairs before it are not whole.
        3 if choices.once_in(4) => {
            [record(PARAMS, id, b"\x0e\x03HALF", padding), record(PARAMS, id, b"", 0)].concat()
        }
        3 => record(PARAMS, id, b"", padding),
        4 => record(STDIN, id, &vec![b's'; plan.size(choices).min(65_535)], padding),
        5 => record(STDIN, id, b"", padding),
        6 => record(DATA, id, &vec![b'd'; plan.size(choices).min(65_535)], padding),
        7 => record(ABORT, id, b"", padding),
        // More questions than there is room for their answers.
        8 if choices.once_in(8) => record(GET_VALUES, 0, NAMES, 0).repeat(2500),
        8 => record(
            choices.one_of(&[GET_VALUES, 11, 12, 200]),
            choices.one_of(&[0, 1]),
            b"\x0f\0FCGI_MPXS_CONNS",
            padding,
        ),
        9 => record(choices.one_of(&[STDOUT, STDERR, END, 99]), id, b"backward", padding),
        // A whole request, so that the others meet some.
        _ => {
            let role = choices.one_of(&[1_u16, 1, 2, 3]);
            let flags = choices.one_of(&[1_u8, 0]);
            let mut bytes = record(BEGIN, id, &[0, role as u8, flags, 0, 0, 0, 0, 0], 0);
            bytes.extend(record(PARAMS, id, b"\x0e\x04REQUEST_METHODPOST", padding));
            bytes.extend(record(PARAMS, id, b"", 0));
            if role != 2 {
                bytes.extend(record(STDIN, id, &vec![b's'; plan.size(choices).min(65_535)], 0));
                bytes.extend(record(STDIN, id, b"", 0));
            }
            if role == 3 {
                bytes.extend(record(DATA, id, b"data", 0));
                bytes.extend(record(DATA, id, b"", 0));
            }
            bytes
        }
    };
    mutated(bytes, choices)
}

fn begin(id: u16, choices: &mut Choices) -> Vec<u8> {
    let role = choices.one_of(&[1_u8, 1, 2, 3, 9]);
    record(BEGIN, id, &[0, role, choices.one_of(&[1, 0]), 0, 0, 0, 0, 0], 0)
}

/// What a hostile application sends next.
pub(super) fn answer(plan: &Plan, choices: &mut Choices) -> Vec<u8> {
    let id = choices.one_of(&[1_u16, 1, 1, 2, 3, 4, 0, 300]);
    let padding = choices.one_of(&[0_u8, 0, 5, 255]);
    let protocol = choices.one_of(&[0_u8, 0, 0, 1, 2, 3, 77]);
    let bytes = match choices.below(10) {
        0 | 1 => record(STDOUT, id, b"Status: 200 OK\r\n\r\nbody", padding),
        2 => record(STDOUT, id, &vec![b'o'; plan.size(choices).min(65_535)], padding),
        3 => record(STDOUT, id, b"Status: 503 No\r\n\r\n", padding),
        4 => record(STDERR, id, b"an error", padding),
        5 | 6 => record(END, id, &[0, 0, 0, 7, protocol, 0, 0, 0], padding),
        7 => record(END, id, &[0; 9][..choices.one_of(&[8, 0, 7, 9])], padding),
        8 => record(
            choices.one_of(&[GET_VALUES_RESULT, UNKNOWN_TYPE, 99]),
            choices.one_of(&[0, 1]),
            b"\x09\x00\0\0\0\0\0\0",
            padding,
        ),
        _ => record(choices.one_of(&[STDIN, BEGIN, ABORT]), id, b"backward", padding),
    };
    mutated(bytes, choices)
}

/// Now and then one of its bytes is another, or some are missing, or come twice.
fn mutated(mut bytes: Vec<u8>, choices: &mut Choices) -> Vec<u8> {
    match choices.below(24) {
        21 => {
            let at = choices.below(8.min(bytes.len()));
            bytes[at] = choices.below(256) as u8;
        }
        22 => bytes.truncate(choices.below(bytes.len().min(256))),
        23 => bytes.extend(bytes.clone()),
        _ => {}
    }
    bytes
}
