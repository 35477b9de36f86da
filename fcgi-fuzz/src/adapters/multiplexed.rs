//! The smol server over the stream, polled by hand: whoever was woken, in the order that the plan says. Time
//! limits are far away, so that only wakers get anything done: one that is lost leaves nobody to be polled.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use fcgi_smol::{BoxError, Request, Settings, Status, serve_stream};
use smol::LocalExecutor;
use smol::io::{AsyncRead, AsyncWrite};

use super::case::{Case, Habits, Manner};
use super::polled::{Polled, Shared};
use crate::plan::Script;
use crate::support::{DATA, STDIN};

/// Polls of tasks and wakes, at most: some hundred times what any plan needs.
const STEPS: usize = 100_000;

/// Far more than a case takes.
const HOUR: Duration = Duration::from_secs(3600);

/// What a case is besides its requests.
pub(super) struct Plan {
    pub(super) polled: Polled,
    pub(super) order: Script,
    pub(super) turns: Script,
    /// Below 128 there is room for every body.
    pub(super) body_room: u8,
    pub(super) is_patient: bool,
    pub(super) waits_for_each: bool,
}

/// Serves the requests of the case.
pub(super) fn run(mut plan: Plan, case: &Case, limits: fcgi_proto::Limits) {
    let has_room = plan.body_room < 128;
    let sent = case.in_turns(plan.turns, plan.is_patient, plan.waits_for_each && has_room);
    plan.polled.stream.input(sent.bytes.clone());
    plan.polled.waits(sent.waits.clone());
    let shared = Shared::new(plan.polled);
    let mut settings = Settings::default();
    settings.limits = limits;
    settings.body_room = match plan.body_room {
        _ if has_room => settings.body_room,
        room => usize::from(room) - 127,
    };
    (settings.idle_timeout, settings.params_timeout, settings.read_timeout) = (HOUR, HOUR, HOUR);
    (settings.write_timeout, settings.drain_timeout) = (HOUR, HOUR);
    let sleepers = Sleepers::default();
    let executor = LocalExecutor::new();
    let handler = |request| handle(case, &sleepers, request);
    let mut server = pin!(serve_stream(shared.clone(), &settings, &executor, handler));
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&woken));
    let step = |number: usize| {
        let (first, more) = plan.order.next();
        // In the end everybody has been the first.
        let first = usize::from(first) + number / 64;
        for turn in first..first + 4 {
            let moved = match turn % 4 {
                0 if woken.0.swap(false, Ordering::Relaxed) => {
                    match server.as_mut().poll(&mut Context::from_waker(&waker)) {
                        Poll::Ready(result) => return Some(result),
                        Poll::Pending => true,
                    }
                }
                1 => executor.try_tick(),
                2 => shared.lock().go_on(more % 2 == 0),
                3 => {
                    // When only sleepers are left, nothing else waits, but perhaps for them to read.
                    let asleep = sleepers.numbers();
                    let no_reason = has_room || asleep.iter().all(|number| case.has_all(*number));
                    if turn == first + 3 && no_reason {
                        if let Some((len, ends)) = shared.lock().so_far() {
                            assert!(ends + asleep.len() >= case.arrived(&sent, len), "held up by sleepers");
                        }
                    }
                    sleepers.wake_one()
                }
                _ => false,
            };
            if moved {
                return None;
            }
        }
        panic!("nobody was woken, and nothing ended");
    };
    let result = (0..STEPS).find_map(step).expect("an end");
    assert!(executor.is_empty(), "a handler that outlives its connection");
    case.check(&sent, &shared.lock().stream, result);
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Handlers that sleep until one after the other is woken.
#[derive(Default)]
struct Sleepers(RefCell<VecDeque<Rc<RefCell<Sleep>>>>);

/// Whose waker is taken when it is woken.
struct Sleep {
    number: usize,
    waker: Option<Waker>,
}

impl Sleepers {
    /// Sleeps in the handler of this request.
    async fn sleep(&self, number: usize) {
        let mut sleep: Option<Rc<RefCell<Sleep>>> = None;
        poll_fn(|cx| {
            let waker = Some(cx.waker().clone());
            match &sleep {
                Some(sleep) if sleep.borrow().waker.is_none() => return Poll::Ready(()),
                Some(sleep) => sleep.borrow_mut().waker = waker,
                None => {
                    let new = Rc::new(RefCell::new(Sleep { number, waker }));
                    self.0.borrow_mut().push_back(Rc::clone(&new));
                    sleep = Some(new);
                }
            }
            Poll::Pending
        })
        .await;
    }

    /// The requests whose handlers sleep.
    fn numbers(&self) -> Vec<usize> {
        self.0.borrow().iter().map(|sleep| sleep.borrow().number).collect()
    }

    /// Whether one slept.
    fn wake_one(&self) -> bool {
        let Some(sleep) = self.0.borrow_mut().pop_front() else { return false };
        if let Some(waker) = sleep.borrow_mut().waker.take() {
            waker.wake();
        }
        true
    }
}

/// How one handler reads and writes.
struct Hand<'c> {
    sleepers: &'c Sleepers,
    number: usize,
    habits: Habits,
    calls: u8,
}

impl Hand<'_> {
    /// Polls until it is ready, with sleep before it, and instead of waiting if that is the habit.
    async fn until<T>(&mut self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        self.calls = self.calls.wrapping_add(1);
        if self.habits.sleeps > 0 && self.calls % self.habits.sleeps == 0 {
            self.sleepers.sleep(self.number).await;
        }
        if !self.habits.drops {
            return poll_fn(poll).await;
        }
        loop {
            match once(&mut poll).await {
                Some(result) => return result,
                None => self.sleepers.sleep(self.number).await,
            }
        }
    }

    async fn read(&mut self, mut input: impl AsyncRead + Unpin, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.until(|cx| Pin::new(&mut input).poll_read(cx, buffer)).await
    }

    async fn write_all(&mut self, out: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            let count = self.until(|cx| Pin::new(&mut *out).poll_write(cx, left)).await?;
            assert_ne!(count, 0, "nothing was taken");
            left = &left[count..];
        }
        Ok(())
    }
}

/// Polls once.
async fn once<T>(poll: &mut impl FnMut(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    poll_fn(|cx| {
        Poll::Ready(match poll(cx) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        })
    })
    .await
}

/// The handler, in the manner of the request.
async fn handle(case: &Case, sleepers: &Sleepers, request: Request) -> Result<(), BoxError> {
    let number = case.begins(request.id(), request.role(), request.keep_conn(), request.params());
    let respond = || request.respond(Status::OK).header("X-Number", number.to_string());
    let ((manner, mut buffer), habits) = (case.manner(number), case.habits(number));
    let mut hand = Hand { sleepers, number, habits, calls: 0 };
    if manner == Manner::Streams {
        let mut page = respond()?;
        loop {
            let count = case.reads(number, STDIN, hand.read(request.stdin(), &mut buffer).await, &buffer)?;
            if count == 0 {
                return Ok(());
            }
            hand.write_all(&mut page, &buffer[..count]).await?;
            if habits.is_loud {
                hand.until(|cx| Pin::new(&mut page).poll_flush(cx)).await?;
            }
        }
    }
    if habits.gives_up && matches!(manner, Manner::ReadsOnce | Manner::Fails) {
        let mut stdin = request.stdin();
        if let Some(result) = once(&mut |cx| Pin::new(&mut stdin).poll_read(cx, &mut buffer)).await {
            case.reads(number, STDIN, result, &buffer)?;
        }
    } else {
        while case.wants(number, STDIN) {
            case.reads(number, STDIN, hand.read(request.stdin(), &mut buffer).await, &buffer)?;
        }
        while case.wants(number, DATA) {
            case.reads(number, DATA, hand.read(request.data(), &mut buffer).await, &buffer)?;
        }
    }
    if manner == Manner::Fails {
        return Err("as planned".into());
    }
    let (mut page, mut stderr) = (respond()?, request.stderr());
    hand.write_all(&mut stderr, b"a line\n").await?;
    if habits.is_loud {
        hand.until(|cx| Pin::new(&mut page).poll_flush(cx)).await?;
        let line = [b'x'; 20_000];
        while let Some(count) = once(&mut |cx| Pin::new(&mut stderr).poll_write(cx, &line)).await {
            if count? < line.len() {
                break;
            }
        }
    }
    hand.write_all(&mut page, &case.page(number)).await?;
    Ok(())
}
