//! What kind of life it is: who is on either side, with which limits, and how rough it may get.

use std::time::Duration;

use fcgi_proto::Limits;
use fcgi_proto::client::{Resend, Settings};
use fcgi_proto::server::session::Patience;

use super::choices::Choices;

/// Who is on the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// A session each.
    Pair,
    /// A server's session before mutated records, and a client's.
    HostileClient,
    HostileServer,
}

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) mode: Mode,
    /// Both sides and the transport are in order: every request has to be answered whole, and nobody waits for a
    /// limit to pass.
    pub(super) fair: bool,
    /// Time is looked at when it was said to be, and no later.
    pub(super) punctual: bool,
    /// Large bodies and answers.
    pub(super) large: bool,
    pub(super) patience: Patience,
    pub(super) settings: Settings,
    pub(super) limits: Limits,
    /// Which table the server has, and how many requests the client has at a time.
    pub(super) server: usize,
    pub(super) client: usize,
    /// Bytes of each body that are kept in memory, on disk; bytes of parameters.
    pub(super) room: usize,
    pub(super) disk: usize,
    pub(super) params: usize,
    /// Requests are taken at once where they can be.
    pub(super) whole: bool,
    /// Bytes under way in either direction.
    pub(super) pipe: usize,
    /// Requests that are asked at most.
    pub(super) requests: usize,
    /// Choices before all of it comes to its end.
    pub(super) steps: usize,
}

const LONG: [Duration; 4] =
    [Duration::from_secs(30), Duration::from_secs(5), Duration::from_secs(1), Duration::from_secs(300)];
const ANY: [Duration; 6] = [
    Duration::from_secs(30),
    Duration::from_millis(100),
    Duration::from_millis(1500),
    Duration::from_secs(5),
    Duration::from_millis(7),
    Duration::from_secs(300),
];

impl Plan {
    pub(super) fn new(choices: &mut Choices) -> Self {
        let mode =
            choices.one_of(&[Mode::Pair, Mode::Pair, Mode::Pair, Mode::HostileClient, Mode::HostileServer]);
        let fair = mode == Mode::Pair && choices.below(2) == 0;
        let mut patience = Patience::new();
        let mut settings = Settings::new();
        let mut limits = Limits::new();
        if fair {
            // What has no fault takes no such time.
            let long = Duration::from_secs(60);
            (settings.kept_first_byte, settings.input) = (long, Duration::from_secs(300));
            patience.idle = choices.one_of(&LONG);
        } else {
            for span in [
                &mut patience.idle,
                &mut patience.params,
                &mut patience.read,
                &mut patience.write,
                &mut patience.drain,
                &mut patience.shutdown,
                &mut settings.write,
                &mut settings.first_byte,
                &mut settings.read,
                &mut settings.total,
                &mut settings.input,
            ] {
                if choices.below(2) == 1 {
                    *span = choices.one_of(&ANY);
                }
            }
            settings.kept_first_byte = choices.one_of(&ANY[1..4]).min(settings.first_byte);
            patience.least_rate = choices.one_of(&[500, 10, 100_000]);
            patience.drain_limit = choices.one_of(&[u32::MAX, 0, 1, 100, 5000]);
            settings.resend = choices.one_of(&[Resend::Safe, Resend::Never, Resend::Idempotent, Resend::All]);
            if choices.below(4) == 3 {
                limits.params = choices.one_of(&[10, 60, 200]);
                limits.stdin = choices.one_of(&[0, 10, 1000]);
                limits.data = choices.one_of(&[u32::MAX, 0, 100]);
            }
            if mode != Mode::Pair {
                limits.ignored = choices.one_of(&[limits.ignored, 100, 1000]);
                settings.ignored = limits.ignored;
            }
        }
        settings.kept = choices.one_of(&[256 * 1024, 1, 100, 5000]);
        settings.room = choices.one_of(&[64 * 1024, 1, 100, 5000]);
        let large = choices.below(6) == 5;
        // Large bodies byte by byte take long, and say nothing that small ones do not.
        let few = if large { 2 } else { 4 };
        Self {
            mode,
            fair,
            punctual: fair || choices.below(4) > 0,
            large,
            patience,
            settings,
            limits,
            server: choices.below(4),
            client: choices.below(2),
            room: choices.one_of(&[64 * 1024, 8192, 1, 10][..few]),
            disk: choices.one_of(&[0, 1 << 20, 1, 1000][..few]),
            params: if fair { 1 << 16 } else { choices.one_of(&[1 << 16, 1 << 16, 30, 0]) },
            whole: choices.below(2) == 1,
            pipe: choices.one_of(&[256 * 1024, 4096, 1, 100][..few]),
            requests: 1 + choices.below(6),
            steps: choices.one_of(&[200, 60, 1000, 3000]),
        }
    }

    /// A number of bytes: often few.
    pub(super) fn size(&self, choices: &mut Choices) -> usize {
        const SIZES: [usize; 16] =
            [1, 0, 7, 8, 100, 1, 30, 250, 1000, 3000, 4096, 8192, 20, 65_535, 70_000, 160_000];
        choices.one_of(&SIZES[..if self.large { 16 } else { 13 }])
    }

    /// A time that somebody sleeps, or that something takes.
    pub(super) fn nap(&self, choices: &mut Choices) -> Duration {
        const NAPS: [u64; 10] = [1, 5, 20, 40, 10, 200, 1000, 4000, 20_000, 100_000];
        Duration::from_millis(choices.one_of(&NAPS[..if self.fair { 5 } else { 10 }]))
    }

    /// How long a life may take at most, once nothing more is asked.
    pub(super) fn bound(&self) -> Duration {
        let Patience { idle, params, read, write, drain, shutdown, .. } = self.patience;
        let Settings { total, input, .. } = self.settings;
        (idle + params + read + write + drain + shutdown) * 8
            + (total + input) * 8
            + Duration::from_secs(20_000)
    }
}
