//! Makes seeds for a target of the captures of real programs: each behind one of the plans that suit it.
//!
//! `cargo run -p fcgi-fuzz --example seeds -- TARGET FOLDER`

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

use fcgi_fuzz::simulation::{Coverage, choices};
use fcgi_proto::decoder::{Decoder, Part};
use fcgi_proto::pair::Pairs;
use fcgi_proto::record::RecordType;

/// Longer ones say nothing that shorter ones do not.
const LONGEST: usize = 8 * 1024;

/// One slot, no limits, whole or in pieces; the application does nothing, answers, or does one thing after the
/// other.
const SERVER_PLANS: [&[u8; 19]; 3] = [
    b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    b"\x01\0\0\0\0\x02\x03\x05\x07\x28\0\x01\x01\x01\x01\x01\x01\x01\x01",
    b"\x02\0\0\0\0\x02\x03\x01\x09\x11\0\x02\x0b\x1c\x01\x06\x14\x01\x07",
];
/// One slot or more; requests made before and in answer to what comes, one whole or piece by piece.
const CLIENT_PLANS: [&[u8; 15]; 3] = [
    b"\0\0\0\0\0\0\x02\x02\x02\x02\x02\x02\x02\x02\x01",
    b"\x01\0\x05\x07\x28\0\x07\x01\x0b\x0c\x02\x0d\x06\x02\x05",
    b"\x02\0\x01\x09\x11\0\x02\x0a\x12\x06\x01\x0b\x0c\x07\x03",
];
const PAIRS_PLANS: [&[u8; 5]; 2] = [b"\xff\0\0\0\0", b"\x08\x05\x07\x28\0"];
const HEAD_PLANS: [&[u8; 5]; 2] = [b"\0\0\0\0\0", b"\xc0\x05\x07\x28\0"];
const REQUEST_PLANS: [&[u8; 21]; 2] = [
    b"\0\0\0\0\0\0\0\xc0\0\x02\x01\xc3\x50\0\0\0\0\0\0\0\0",
    b"\x01\x01\x01\x01\x01\0\x02\xc0\0\x02\x01\xc3\x50\x10\0\0\0\0\0\0\0",
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let [_, target, folder] = &arguments[..] else { return Err("usage: seeds TARGET FOLDER".into()) };
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fcgi-proto/tests/captures");
    let clients = || -> std::io::Result<_> {
        Ok([files(&captures.join("clients"))?, files(&captures.join("cases"))?].concat())
    };
    let servers = || files(&captures.join("servers"));
    let seeds = match &target[..] {
        "server_bytes" => planned(&SERVER_PLANS, clients()?),
        "client_bytes" => planned(&CLIENT_PLANS, servers()?),
        "pairs" => planned(&PAIRS_PLANS, streams(&clients()?, RecordType::Params)),
        "cgi_head" => planned(&HEAD_PLANS, streams(&servers()?, RecordType::Stdout)),
        "cgi_request" => {
            let params = streams(&clients()?, RecordType::Params);
            planned(&REQUEST_PLANS, params.iter().map(|pairs| request(pairs)).collect())
        }
        "simulation" => lives(),
        "session" | "adapters" => {
            return Err("its inputs are operations, which no capture has".into());
        }
        _ => return Err("no such target".into()),
    };
    fs::create_dir_all(folder)?;
    for (number, seed) in seeds.iter().enumerate() {
        fs::write(Path::new(folder).join(format!("{number:05}")), seed)?;
    }
    Ok(())
}

/// Choices of lives, of which each takes a decision that those before it do not.
fn lives() -> Vec<Vec<u8>> {
    let mut all = Coverage::default();
    let missing = |coverage: &Coverage| coverage.counts().filter(|(_, times)| *times == 0).count();
    let mut lives = Vec::new();
    for seed in 0..20_000 {
        let (choices, coverage) = choices(seed);
        let before = missing(&all);
        all.add(&coverage);
        if missing(&all) < before {
            lives.push(choices);
        }
    }
    lives
}

/// The contents of all files in a folder and its folders.
fn files(folder: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    paths.sort();
    let mut contents = Vec::new();
    for path in paths {
        if path.is_dir() {
            contents.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "bin") {
            contents.push(fs::read(path)?);
        }
    }
    Ok(contents)
}

/// Each of the contents behind each of the plans, none twice.
fn planned<const N: usize>(plans: &[&[u8; N]], mut contents: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    contents.retain(|content| content.len() <= LONGEST);
    contents.sort();
    contents.dedup();
    contents.iter().flat_map(|content| plans.iter().map(|plan| [&plan[..], content].concat())).collect()
}

/// The joined contents of each capture's records of this type.
fn streams(captures: &[Vec<u8>], wanted: RecordType) -> Vec<Vec<u8>> {
    let mut streams = Vec::new();
    for capture in captures {
        let (mut decoder, mut input, mut stream) = (Decoder::new(), &capture[..], Vec::new());
        while let Ok(Some(part)) = decoder.next(&mut input) {
            match part {
                Part::Content { record_type, data, .. } if record_type == wanted as u8 => stream.extend(data),
                _ => {}
            }
        }
        streams.push(stream);
    }
    streams
}

/// The request that these parameters were made of, as `cgi_request` reads it.
fn request(pairs: &[u8]) -> Vec<u8> {
    let get = |name| Pairs::new(pairs).get(name).unwrap_or(b"");
    let mut request = [get(b"REQUEST_URI"), b"\n", get(b"REMOTE_ADDR"), b",10.0.0.1"].concat();
    for (name, value) in Pairs::new(pairs) {
        let (name, separator) = match name.strip_prefix(b"HTTP_") {
            Some(header) => {
                (header.iter().map(|byte| if *byte == b'_' { b'-' } else { *byte }).collect(), b':')
            }
            None => (name.to_vec(), b'='),
        };
        request.extend([b"\n", &name[..], &[separator], value].concat());
    }
    request
}
