//! An application's STDERR in the log: one line a line, without what could be taken for another one
//! (CVE-2024-9026).

/// Bytes of a line; longer ones become several.
const LIMIT: usize = 8 * 1024;

/// Puts what comes into lines; what is left of them when it is dropped is one too.
#[derive(Default)]
pub(super) struct Lines {
    line: Vec<u8>,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' || self.line.len() == LIMIT {
                self.end();
            }
            if byte != b'\n' {
                self.line.push(byte);
            }
        }
    }

    fn end(&mut self) {
        if !self.line.is_empty() {
            log::warn!(target: "fcgi_smol::stderr", "{}", escaped(&self.line));
            self.line.clear();
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.end();
    }
}

/// Text without control characters, nor what else moves a terminal's cursor.
fn escaped(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut text = String::new();
    for character in String::from_utf8_lossy(line).chars() {
        match character {
            '"' | '\'' => text.push(character),
            _ => text.extend(character.escape_debug()),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn haproxy_2026_08_07_php_cve_2024_9026_a_line_of_the_log_is_one_line_of_stderr() {
        let line = b"a \"b\" \xc3\xa9\0\x1b[2J\rWARN forged\x08 \xff \xe2\x80\xae\xe2\x80\xa8 \\n\r";
        let expected = "a \"b\" é\\0\\u{1b}[2J\\rWARN forged\\u{8} \u{fffd} \\u{202e}\\u{2028} \\\\n";
        assert_eq!(escaped(line), expected);
    }

    #[test]
    fn lines_are_cut_where_they_end_or_grow_too_long() {
        let mut lines = Lines::default();
        lines.push(b"one\ntw");
        assert_eq!(lines.line, b"tw");
        lines.push(b"o");
        assert_eq!(lines.line, b"two");
        lines.push(&[b'x'; LIMIT]);
        assert_eq!(lines.line, b"xxx");
    }
}
