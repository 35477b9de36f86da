//! What a pool decides: which application a request gets and over which connection, how many connections there
//! are and which are kept, who is left out and for how long, who waits and who is next. It knows neither sockets
//! nor wakers nor a clock: the time is told, what is to be done comes out.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use super::PoolSettings;

/// How often applications that fail are looked for, at most.
const SHORTEST_PROBE: Duration = Duration::from_millis(10);

/// What a request asks of a connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Applications that are not to be asked: they could not be connected to, or refused.
    pub(crate) tried: Vec<usize>,
    /// Not one that was kept: those may be dead.
    pub(crate) fresh: bool,
    /// Without other requests: it is the connection's last.
    pub(crate) alone: bool,
}

/// A connection: which application's, and its number among all that ever were.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) application: usize,
    number: u64,
    /// For how long it had been idle when it was lent; unless it was made, or carries other requests.
    pub(crate) idle: Option<Duration>,
}

/// A connection that is to be made. It ends in one of [`Choices::connected`], [`Choices::failed`] and
/// [`Choices::abandon`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) application: usize,
    began: Duration,
    /// Whether it finds out if an application is back that was left out.
    pub(crate) tries: bool,
    /// For how many requests it is: one, or none if it is only to see; and whether it is for no other.
    requests: usize,
    alone: bool,
}

/// What a request gets.
#[derive(Debug)]
pub(crate) enum Choice<C> {
    /// A connection that was there. If it is not used after all, [`Choices::replace`] tells what the request
    /// gets instead.
    Lent(Place, C),
    /// A connection that is to be made.
    Connect(Attempt),
    /// Nothing yet: the number by which it waits.
    Waits(u64),
    /// Nothing: this many wait, as many as may.
    Full(usize),
    /// Nothing: it waited as long as it may.
    Late,
    /// Nothing: all applications were tried.
    Nobody,
}

pub(crate) struct Choices<C> {
    settings: PoolSettings,
    applications: Vec<Application<C>>,
    /// Where the search for the least loaded one begins.
    next: usize,
    waiting: VecDeque<Waiter<C>>,
    /// Numbers that were given to connections and to those who wait.
    numbers: u64,
    /// Whose wait is over, and what is to be closed, since this was last asked.
    served: Vec<u64>,
    closed: Vec<C>,
}

struct Application<C> {
    /// Whether connections can be made; not where the only one was given.
    connects: bool,
    connections: Vec<Held<C>>,
    /// Connections that are being made.
    connecting: usize,
    /// Since it could not be connected to.
    failure: Option<Failure>,
}

struct Held<C> {
    number: u64,
    connection: C,
    /// Requests that it is lent to.
    requests: usize,
    /// Whether it takes no further one.
    spent: bool,
    /// Whether any answer came on it.
    answered: bool,
    /// Since when it has no request; and since it had none for the first time.
    idle: Option<Duration>,
    kept: Option<Duration>,
}

/// An application that could not be connected to.
struct Failure {
    noted: Duration,
    /// When it may be tried again, by one request.
    again: Duration,
    pause: Duration,
    trying: bool,
}

struct Waiter<C> {
    number: u64,
    wanted: Wanted,
    until: Duration,
    /// What it got, until it is collected.
    got: Option<Choice<C>>,
}

impl<C: Clone> Choices<C> {
    /// For so many applications that can be connected to.
    pub(crate) fn new(applications: usize, settings: PoolSettings) -> Self {
        let application = || Application::new(true);
        Self {
            settings,
            applications: std::iter::repeat_with(application).take(applications).collect(),
            next: 0,
            waiting: VecDeque::new(),
            numbers: 0,
            served: Vec::new(),
            closed: Vec::new(),
        }
    }

    /// For one application that is reached over this connection and no other.
    pub(crate) fn over(connection: C, settings: PoolSettings, now: Duration) -> Self {
        let mut choices = Self::new(0, settings);
        choices.applications.push(Application::new(false));
        let given = choices.attempt(0, now);
        choices.connected(given, connection, now);
        choices
    }

    /// What a request gets; if nothing yet, it waits from now on.
    pub(crate) fn ask(&mut self, wanted: Wanted, now: Duration) -> Choice<C> {
        self.serve(now);
        self.choose_or_wait(wanted, now)
    }

    /// What a request gets in the place of a connection that was [lent](Choice::Lent), and that does not take it:
    /// that is closed, since a worker that waits on it may be the only one.
    pub(crate) fn replace(&mut self, place: Place, wanted: Wanted, now: Duration) -> Choice<C> {
        self.leave(place, false, now);
        // Before those who came later.
        let choice = self.choose_or_wait(wanted, now);
        self.serve(now);
        choice
    }

    /// What one who waited got, if anything.
    pub(crate) fn collect(&mut self, number: u64) -> Option<Choice<C>> {
        let index = self.waiting.iter().position(|waiter| waiter.number == number)?;
        self.waiting.get(index)?.got.as_ref()?;
        self.waiting.remove(index)?.got
    }

    /// What a request got is not used: as if it had not asked.
    pub(crate) fn abandon(&mut self, choice: Choice<C>, now: Duration) {
        match choice {
            Choice::Lent(place, _) => self.give_back(place, true, now),
            Choice::Connect(attempt) => {
                let application = &mut self.applications[attempt.application];
                application.connecting -= 1;
                if let Some(failure) = application.failure.as_mut().filter(|_| attempt.tries) {
                    failure.trying = false;
                }
                self.serve(now);
            }
            Choice::Waits(number) => {
                let got = self.collect(number);
                self.waiting.retain(|waiter| waiter.number != number);
                self.served.push(number);
                self.abandon(got.unwrap_or(Choice::Nobody), now);
            }
            Choice::Full(_) | Choice::Late | Choice::Nobody => {}
        }
    }

    /// A connection was made.
    pub(crate) fn connected(&mut self, attempt: Attempt, connection: C, now: Duration) -> Place {
        let Attempt { application: index, requests, alone: spent, .. } = attempt;
        self.numbers += 1;
        self.next = index + 1;
        let number = self.numbers;
        let idle = (requests == 0).then_some(now);
        let held = Held { number, connection, requests, spent, answered: false, idle, kept: idle };
        let application = &mut self.applications[index];
        application.connections.push(held);
        application.connecting -= 1;
        application.failure = None;
        self.serve(now);
        Place { application: index, number, idle: None }
    }

    /// No connection could be made: the application is left out for a while. Of several that fail together the
    /// first one counts.
    pub(crate) fn failed(&mut self, attempt: Attempt, now: Duration) {
        let PoolSettings { retry_after, max_retry_after, .. } = self.settings;
        let application = &mut self.applications[attempt.application];
        application.connecting -= 1;
        match &mut application.failure {
            Some(failure) if attempt.began < failure.noted => {}
            failure => {
                let pause = failure.as_ref().map_or(retry_after, |failure| failure.pause.saturating_mul(2));
                let pause = pause.min(max_retry_after);
                let again = now.saturating_add(pause);
                let noted = Failure { noted: now, again, pause, trying: false };
                application.failure = Some(noted).filter(|_| !pause.is_zero());
            }
        }
        if attempt.tries && application.connections.is_empty() {
            // Whoever waited to see whether it is back has seen.
            self.waiting.iter_mut().for_each(|waiter| waiter.wanted.tried.push(attempt.application));
        }
        self.serve(now);
    }

    /// An answer came.
    pub(crate) fn answered(&mut self, place: Place, now: Duration) {
        let application = &mut self.applications[place.application];
        application.failure = None;
        application.held(place).into_iter().for_each(|held| held.answered = true);
        self.serve(now);
    }

    /// A request is done with its connection, which may carry a further one or not.
    pub(crate) fn give_back(&mut self, place: Place, reusable: bool, now: Duration) {
        self.leave(place, reusable, now);
        self.serve(now);
        let application = &mut self.applications[place.application];
        // Nobody wants it now: it is kept if it may be.
        let idle = application.connections.iter().filter(|held| held.requests == 0).count();
        if idle > self.settings.max_idle && application.held(place).is_some_and(|held| held.requests == 0) {
            self.remove(place);
        }
    }

    /// Closes all connections without requests: nobody waits for their places.
    pub(crate) fn close_idle(&mut self) {
        self.close_idle_if(|_, _| true);
    }

    /// An application that is to be connected to without a request, to see whether it is back; or when to ask
    /// again.
    pub(crate) fn probe(&mut self, now: Duration) -> Result<Attempt, Duration> {
        let failures = self.applications.iter().enumerate().filter_map(|(index, application)| {
            let failure = application.failure.as_ref().filter(|failure| !failure.trying)?;
            Some((failure.again, index))
        });
        match failures.min() {
            Some((again, index)) if again <= now => Ok(self.attempt(index, now)),
            first => {
                let latest = now.saturating_add(self.settings.retry_after.max(SHORTEST_PROBE));
                Err(first.map_or(latest, |(again, _)| again.min(latest)))
            }
        }
    }

    /// A connection to this application that is to be made.
    pub(crate) fn attempt(&mut self, application: usize, now: Duration) -> Attempt {
        let Application { connecting, failure, .. } = &mut self.applications[application];
        *connecting += 1;
        let tries = failure.as_mut().map(|failure| failure.trying = true).is_some();
        Attempt { application, began: now, tries, requests: 0, alone: false }
    }

    /// What the time brings: connections that were kept for long enough, requests that waited for too long,
    /// applications that may be tried again.
    pub(crate) fn expire(&mut self, now: Duration) {
        let limit = self.settings.keep_time;
        self.close_idle_if(|_, held| held.end(limit).is_some_and(|end| end <= now));
        for waiter in self.waiting.iter_mut().filter(|waiter| waiter.got.is_none() && waiter.until <= now) {
            waiter.got = Some(Choice::Late);
            self.served.push(waiter.number);
        }
        self.serve(now);
    }

    /// When [`expire`](Self::expire) is to be called, if nothing else happens.
    pub(crate) fn next(&self, now: Duration) -> Option<Duration> {
        let connections = self.applications.iter().flat_map(|application| &application.connections);
        let ends = connections.filter_map(|held| held.end(self.settings.keep_time));
        let waiting = || self.waiting.iter().filter(|waiter| waiter.got.is_none());
        let failures = self.applications.iter().filter_map(|application| application.failure.as_ref());
        let dues = failures.map(|failure| failure.again).filter(|_| waiting().next().is_some());
        let next = ends.chain(waiting().map(|waiter| waiter.until)).chain(dues);
        next.filter(|at| *at > now && *at < Duration::MAX).min()
    }

    /// What happened to others since this was last asked: whose wait is over, which [`collect`](Self::collect)
    /// tells more of, and connections that are to be closed.
    pub(crate) fn take_news(&mut self) -> (Vec<u64>, Vec<C>) {
        (mem::take(&mut self.served), mem::take(&mut self.closed))
    }

    /// A request leaves its connection, which is closed, or without requests if that was its last.
    fn leave(&mut self, place: Place, reusable: bool, now: Duration) {
        let limit = self.settings.keep_time;
        let application = &mut self.applications[place.application];
        // One without any answer so far may wait for the worker that this one would hold.
        let others_wait = application
            .connections
            .iter()
            .any(|held| held.requests > 0 && !held.answered && held.number != place.number);
        let Some(held) = application.held(place) else { return };
        held.requests -= 1;
        held.spent |= !reusable;
        if held.requests > 0 {
            return;
        }
        held.idle = Some(now);
        held.kept.get_or_insert(now);
        if held.spent || others_wait || held.end(limit).is_some_and(|end| end <= now) {
            self.remove(place);
        }
    }

    fn remove(&mut self, place: Place) {
        let connections = &mut self.applications[place.application].connections;
        let index = connections.iter().position(|held| held.number == place.number);
        self.closed.extend(index.map(|index| connections.remove(index).connection));
    }

    fn close_idle_if(&mut self, condition: impl Fn(usize, &Held<C>) -> bool) {
        for (index, application) in self.applications.iter_mut().enumerate() {
            let ends = |held: &Held<C>| held.requests == 0 && condition(index, held);
            while let Some(at) = application.connections.iter().position(ends) {
                self.closed.push(application.connections.remove(at).connection);
            }
        }
    }

    /// Serves those who wait, in their order: who cannot be served holds up nobody.
    fn serve(&mut self, now: Duration) {
        let mut waiting = mem::take(&mut self.waiting);
        for waiter in waiting.iter_mut().filter(|waiter| waiter.got.is_none()) {
            waiter.got = self.choose(&waiter.wanted, now);
            self.served.extend(waiter.got.as_ref().map(|_| waiter.number));
            let Wanted { tried, fresh, alone } = &waiter.wanted;
            let shares = !alone || self.settings.max_requests_per_connection == 1;
            if waiter.got.is_none() && tried.is_empty() && !fresh && shares {
                break; // What it cannot have, nobody behind it can.
            }
        }
        self.waiting = waiting;
    }

    fn choose_or_wait(&mut self, wanted: Wanted, now: Duration) -> Choice<C> {
        if let Some(choice) = self.choose(&wanted, now) {
            return choice;
        }
        let count = self.waiting.len();
        if count >= self.settings.max_waiting {
            return Choice::Full(count);
        }
        self.numbers += 1;
        let (number, until) = (self.numbers, now.saturating_add(self.settings.wait_timeout));
        self.waiting.push_back(Waiter { number, wanted, until, got: None });
        Choice::Waits(number)
    }

    /// The least loaded application that has room, and a connection to it; `None` if one may have room later.
    fn choose(&mut self, wanted: &Wanted, now: Duration) -> Option<Choice<C>> {
        let settings = self.settings;
        let count = self.applications.len();
        let in_turn = (0..count).map(|offset| (self.next + offset) % count);
        let left: Vec<_> =
            in_turn.filter(|at| !wanted.tried.contains(at) && !self.applications[*at].is_gone()).collect();
        if left.is_empty() {
            return Some(Choice::Nobody);
        }
        // Those that are left out are asked all the same when nobody else could answer: one at a time, since
        // the others wait to see.
        let out = |at: &usize| self.applications[*at].failure.as_ref().filter(|failure| !failure.is_due(now));
        let all_out = left.iter().all(|at| out(at).is_some());
        if all_out && left.iter().filter_map(out).any(|failure| failure.trying) {
            return None;
        }
        let able = left.into_iter().filter(|at| all_out || out(at).is_none());
        let roomy = able.filter(|at| self.applications[*at].has_room(wanted, &settings));
        let load = |at: &usize| (out(at).map(|failure| failure.again), self.applications[*at].load());
        let index = roomy.min_by_key(load)?;
        let application = &mut self.applications[index];
        if let Some(held) = application.connections.iter_mut().find(|held| held.has_room(wanted, &settings)) {
            held.requests += 1;
            held.spent |= wanted.alone;
            let idle = held.idle.take().map(|since| now.saturating_sub(since));
            let place = Place { application: index, number: held.number, idle };
            self.next = index + 1;
            return Some(Choice::Lent(place, held.connection.clone()));
        }
        // In the place of those that are of no use to it, if need be.
        let full = application.connecting + application.connections.len() >= settings.max_connections;
        self.close_idle_if(|of, _| full && of == index);
        Some(Choice::Connect(Attempt { requests: 1, alone: wanted.alone, ..self.attempt(index, now) }))
    }
}

impl<C> Application<C> {
    fn new(connects: bool) -> Self {
        Self { connects, connections: Vec::new(), connecting: 0, failure: None }
    }

    fn held(&mut self, place: Place) -> Option<&mut Held<C>> {
        self.connections.iter_mut().find(|held| held.number == place.number)
    }

    /// Requests that it has or is about to have.
    fn load(&self) -> usize {
        self.connecting + self.connections.iter().map(|held| held.requests).sum::<usize>()
    }

    fn has_room(&self, wanted: &Wanted, settings: &PoolSettings) -> bool {
        self.connections.iter().any(|held| held.has_room(wanted, settings))
            || self.may_connect(wanted, settings)
    }

    /// Whether the one connection that was given is closed.
    fn is_gone(&self) -> bool {
        !self.connects && self.connections.is_empty()
    }

    /// Whether a further connection may be made, in the place of an idle one if need be. Those that carry many
    /// requests are made one at a time: who comes meanwhile waits for a place on that.
    fn may_connect(&self, wanted: &Wanted, settings: &PoolSettings) -> bool {
        let count = self.connecting + self.connections.iter().filter(|held| held.requests > 0).count();
        let one_is_coming = settings.max_requests_per_connection > 1 && self.connecting > 0;
        self.connects && count < settings.max_connections && (!one_is_coming || wanted.alone)
    }
}

impl<C> Held<C> {
    fn has_room(&self, wanted: &Wanted, settings: &PoolSettings) -> bool {
        let shares = self.requests < settings.max_requests_per_connection && !wanted.alone;
        !wanted.fresh && !self.spent && (self.idle.is_some() || shares)
    }

    /// When it is closed, if it has no request then.
    fn end(&self, keep_time: Duration) -> Option<Duration> {
        self.idle.and(self.kept).map(|kept| kept.saturating_add(keep_time))
    }
}

impl Failure {
    fn is_due(&self, now: Duration) -> bool {
        self.again <= now && !self.trying
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// A pool in made-up time. Requests have numbers, applications letters, connections both.
    struct Played {
        choices: Choices<String>,
        requests: BTreeMap<u64, Choice<String>>,
        connections: usize,
    }

    impl Played {
        /// Does what a line says, and tells what came out, also for others.
        fn step(&mut self, now: Duration, words: &[&str]) -> String {
            let number = words.get(1).and_then(|word| word.parse().ok()).unwrap_or(0);
            let mut wanted = Wanted { fresh: words.contains(&"fresh"), ..Wanted::default() };
            wanted.alone = words.contains(&"alone");
            let letters = words.iter().skip_while(|word| **word != "not").skip(1);
            wanted.tried = letters.map(|letter| usize::from(letter.as_bytes()[0] - b'A')).collect();
            let got = match (words[0], self.requests.remove(&number)) {
                ("ask", None) => self.choices.ask(wanted, now),
                ("probe", None) => match self.choices.probe(now) {
                    Ok(attempt) => Choice::Connect(attempt),
                    Err(at) => return format!("at {}", at.as_millis()),
                },
                ("up", Some(Choice::Connect(attempt))) => {
                    self.connections += 1;
                    let letter = char::from(b'a' + u8::try_from(attempt.application).expect("few"));
                    let name = format!("{letter}{}", self.connections);
                    let place = self.choices.connected(attempt, name.clone(), now);
                    if number == 0 {
                        return self.told(format!("idle {name}"));
                    }
                    Choice::Lent(place, name)
                }
                ("down", Some(Choice::Connect(attempt))) => {
                    self.choices.failed(attempt, now);
                    return self.told(String::new());
                }
                ("drop", Some(choice)) => {
                    self.choices.abandon(choice, now);
                    return self.told(String::new());
                }
                ("gone", Some(Choice::Lent(place, _))) => self.choices.replace(place, wanted, now),
                ("answer", Some(Choice::Lent(place, name))) => {
                    self.choices.answered(place, now);
                    self.requests.insert(number, Choice::Lent(place, name));
                    return self.told(String::new());
                }
                ("end", Some(Choice::Lent(place, _))) => {
                    self.choices.give_back(place, !words.contains(&"spent"), now);
                    return self.told(String::new());
                }
                ("time", None) => {
                    self.choices.expire(now);
                    return self.told(String::new());
                }
                ("next", None) => {
                    let next = self.choices.next(now);
                    return next.map_or("never".into(), |next| format!("at {}", next.as_millis()));
                }
                (command, request) => panic!("{command} of {request:?}"),
            };
            let text = self.take(number, got);
            self.told(text)
        }

        fn take(&mut self, number: u64, got: Choice<String>) -> String {
            let text = match &got {
                Choice::Lent(_, name) => name.clone(),
                Choice::Connect(attempt) => {
                    let letter = b'A' + u8::try_from(attempt.application).expect("few");
                    format!("connect {}", char::from(letter))
                }
                Choice::Waits(_) => "waits".into(),
                Choice::Full(count) => return format!("full {count}"),
                Choice::Late => return "late".into(),
                Choice::Nobody => return "nobody".into(),
            };
            self.requests.insert(number, got);
            text
        }

        /// With what happened to others.
        fn told(&mut self, text: String) -> String {
            let (served, closed) = self.choices.take_news();
            let mut all = vec![text];
            for served in served {
                let waits = |request: &Choice<String>| matches!(request, Choice::Waits(n) if *n == served);
                let Some((&number, _)) = self.requests.iter().find(|(_, request)| waits(request)) else {
                    continue; // It was dropped.
                };
                let got = self.choices.collect(served).expect("it is served");
                self.requests.remove(&number);
                all.push(format!("{number}: {}", self.take(number, got)));
            }
            all.extend(closed.iter().map(|name| format!("closed {name}")));
            all.retain(|text| !text.is_empty());
            all.join(", ")
        }
    }

    /// Lines of a time in milliseconds, what is done, and what comes of it.
    fn play(applications: usize, change: fn(&mut PoolSettings), lines: &str) {
        let mut settings = PoolSettings::default();
        change(&mut settings);
        let choices = match applications {
            0 => Choices::over("a0".into(), settings, Duration::ZERO),
            count => Choices::new(count, settings),
        };
        let mut played = Played { choices, requests: BTreeMap::new(), connections: 0 };
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            let (step, expected) = line.split_once("->").expect("a line has an outcome");
            let mut words = step.split_whitespace();
            let now = words.next().and_then(|word| word.parse().ok()).map(Duration::from_millis);
            let words: Vec<_> = words.collect();
            let got = played.step(now.expect("a line has a time"), &words);
            assert_eq!(got, expected.trim(), "{line}");
        }
    }

    /// Each row is a test: its name, how many applications, what is set, what is played.
    macro_rules! rows {
        ($($name:ident: $applications:literal, $change:expr, $lines:literal;)*) => {
            $(#[test] fn $name() { play($applications, $change, $lines); })*
        };
    }

    fn keeps_two(settings: &mut PoolSettings) {
        settings.max_idle = 2;
    }

    fn one_connection(settings: &mut PoolSettings) {
        settings.max_connections = 1;
    }

    rows! {
        equally_loaded_applications_are_asked_in_turn: 3, |_| (), "
            0 ask 1 -> connect A
            0 ask 2 -> connect B
            0 ask 3 -> connect C
            0 ask 4 -> connect A
            1 up 2  -> b1
            2 end 2 ->  closed b1
            2 ask 5 -> connect B";

        a_connection_is_not_kept_unless_told: 1, |_| (), "
            0 ask 1 -> connect A
            0 up 1  -> a1
            1 end 1 -> closed a1
            1 ask 2 -> connect A";

        connections_are_kept_up_to_a_count: 1, keeps_two, "
            0 ask 1 -> connect A
            0 ask 2 -> connect A
            0 ask 3 -> connect A
            1 up 1  -> a1
            1 up 2  -> a2
            1 up 3  -> a3
            2 answer 1 ->
            2 answer 2 ->
            2 answer 3 ->
            3 end 1 ->
            3 end 2 ->
            3 end 3 -> closed a3
            4 ask 4 -> a1
            4 ask 5 -> a2
            4 ask 6 -> connect A";

        a_connection_is_not_kept_for_longer_whether_used_or_not: 1, keeps_two, "
            0   ask 1 -> connect A
            0   up 1  -> a1
            100 end 1 ->
            300 ask 2 -> a1
            400 end 2 ->
            400 next  -> at 600
            599 time  ->
            600 time  -> closed a1
            600 next  -> never
            700 ask 3 -> connect A
            700 up 3  -> a2
            700 end 3 ->
            900 ask 4 -> a2
            1300 end 4 -> closed a2";

        a_connection_is_not_kept_while_another_has_no_answer: 1, keeps_two, "
            0 ask 1    -> connect A
            0 ask 2    -> connect A
            1 up 1     -> a1
            1 up 2     -> a2
            2 answer 1 ->
            3 end 1    -> closed a1
            4 answer 2 ->
            5 end 2    ->";

        those_who_wait_are_served_in_their_order: 1, one_connection, "
            0 ask 1   -> connect A
            0 ask 2   -> waits
            1 ask 3   -> waits
            1 ask 4   -> waits
            2 up 1    -> a1
            3 drop 3  ->
            4 end 1 spent -> 2: connect A, closed a1
            5 up 2    -> a2
            6 end 2 spent -> 4: connect A, closed a2";

        a_kept_connection_goes_to_who_waits: 1, |settings| (settings.max_connections, settings.max_idle) = (1, 1), "
            0 ask 1   -> connect A
            0 ask 2   -> waits
            0 up 1    -> a1
            1 end 1   -> 2: a1";

        no_more_wait_than_may_and_none_for_longer: 1, |settings| (settings.max_connections, settings.max_waiting) = (1, 2), "
            0     ask 1 -> connect A
            0     ask 2 -> waits
            5000  ask 3 -> waits
            5000  ask 4 -> full 2
            5000  next  -> at 10000
            9999  time  ->
            10000 time  -> 2: late
            10000 next  -> at 15000
            11000 ask 5 -> waits";

        who_was_refused_by_a_and_waits_for_b_holds_up_nobody_for_a: 2, one_connection, "
            0 ask 1        -> connect A
            0 ask 2        -> connect B
            0 up 1         -> a1
            0 up 2         -> b2
            1 end 1 spent  -> closed a1
            1 ask 3 not A  -> waits
            2 ask 4        -> connect A
            2 ask 5        -> waits
            3 up 4         -> a3
            4 end 4 spent  -> 5: connect A, closed a3
            5 end 2 spent  -> 3: connect B, closed b2";

        who_waits_for_another_is_not_looked_at_when_one_may_be_tried_again: 2, one_connection, "
            0   ask 1       -> connect A
            0   down 1      ->
            0   ask 2       -> connect B
            0   ask 3 not A -> waits
            100 next        -> at 500
            600 next        -> at 10000";

        who_waits_gets_an_application_as_soon_as_that_may_be_tried_again: 2, one_connection, "
            0   ask 1  -> connect A
            0   up 1   -> a1
            0   ask 2  -> connect B
            0   down 2 ->
            100 ask 3  -> waits
            100 next   -> at 500
            499 time   ->
            500 time   -> 3: connect B";

        who_was_refused_everywhere_has_nobody: 2, |_| (), "
            0 ask 1 not A   -> connect B
            0 up 1          -> b1
            1 end 1 spent   -> closed b1
            1 ask 1 not A B -> nobody";

        an_application_that_fails_is_left_out_and_tried_by_one_request: 2, |_| (), "
            0    ask 1  -> connect A
            1    down 1 ->
            2    ask 2  -> connect B
            2    ask 3  -> connect B
            500  ask 4  -> connect B
            501  ask 5  -> connect A
            501  ask 6  -> connect B
            502  down 5 ->
            1501 ask 7  -> connect B
            1502 ask 8  -> connect A
            1503 up 8   -> a1
            1504 ask 9  -> connect A";

        eight_connects_that_fail_together_are_one_failure: 2, |_| (), "
            0    ask 1 not B -> connect A
            0    ask 2 not B -> connect A
            0    ask 3 not B -> connect A
            0    ask 4 not B -> connect A
            0    ask 5 not B -> connect A
            0    ask 6 not B -> connect A
            0    ask 7 not B -> connect A
            0    ask 8 not B -> connect A
            10   down 1 ->
            10   down 2 ->
            10   down 3 ->
            11   down 4 ->
            11   down 5 ->
            11   down 6 ->
            12   down 7 ->
            12   down 8 ->
            509  ask 9  -> connect B
            510  ask 10 -> connect A";

        a_single_application_is_asked_although_it_failed: 1, |_| (), "
            0  ask 1  -> connect A
            1  down 1 ->
            50 ask 2  -> connect A
            51 down 2 ->
            99 ask 3  -> connect A
            100 up 3  -> a1
            100 ask 4 -> connect A";

        of_several_that_failed_the_one_that_is_due_first_is_asked: 2, |_| (), "
            0  ask 1  -> connect A
            0  ask 2  -> connect B
            1  down 2 ->
            2  down 1 ->
            3  ask 3  -> connect B
            4  down 3 ->
            4  ask 3 not B -> connect A
            5  up 3   -> a1
            6  ask 4  -> connect A";

        others_wait_for_who_tries_and_fail_with_it: 1, |_| (), "
            0  ask 1  -> connect A
            1  down 1 ->
            2  ask 2  -> connect A
            2  ask 3  -> waits
            2  ask 4  -> waits
            3  down 2 -> 3: nobody, 4: nobody
            4  ask 5  -> connect A
            4  ask 6  -> waits
            5  up 5   -> a1, 6: connect A";

        an_answer_ends_the_leaving_out: 2, |_| (), "
            0  ask 1    -> connect A
            0  up 1     -> a1
            1  ask 2 not B -> connect A
            2  down 2   ->
            3  ask 3    -> connect B
            3  ask 5    -> connect B
            4  answer 1 ->
            5  ask 4    -> connect A
            5  ask 6 not B -> connect A";

        one_that_answers_others_is_not_away_for_those_who_wait: 1, |_| (), "
            0  ask 1  -> connect A
            0  up 1   -> a1
            1  ask 2  -> connect A
            2  down 2 ->
            3  ask 3  -> connect A
            3  ask 4  -> waits
            4  down 3 -> 4: connect A";

        an_answer_serves_those_who_wait_to_see: 1, |_| (), "
            0  ask 1    -> connect A
            0  up 1     -> a1
            1  ask 2    -> connect A
            2  down 2   ->
            3  ask 3    -> connect A
            3  ask 4    -> waits
            4  answer 1 -> 4: connect A";

        a_failure_after_another_counts_however_soon: 2, |_| (), "
            0    ask 1       -> connect A
            0    down 1      ->
            0    ask 2 not B -> connect A
            0    down 2      ->
            500  ask 3       -> connect B
            1000 ask 4       -> connect A";

        who_was_asked_last_is_asked_last: 2, keeps_two, "
            0 ask 1       -> connect A
            0 up 1        -> a1
            1 end 1 spent -> closed a1
            1 ask 2       -> connect B
            1 up 2        -> b2
            2 end 2 spent -> closed b2
            2 ask 1       -> connect A
            2 ask 2       -> connect B
            2 up 1        -> a3
            2 up 2        -> b4
            2 answer 1    ->
            2 answer 2    ->
            3 end 1       ->
            3 end 2       ->
            4 ask 3       -> a3
            4 end 3       ->
            5 ask 4       -> b4";

        a_fresh_one_takes_the_place_of_one_that_is_kept_for_the_same_application: 2, |settings| (settings.max_connections, settings.max_idle) = (1, 1), "
            0 ask 1       -> connect A
            0 ask 2       -> connect B
            0 up 1        -> a1
            0 up 2        -> b2
            1 answer 1    ->
            1 answer 2    ->
            2 end 1       ->
            2 end 2       ->
            3 ask 3 fresh -> connect A, closed a1
            3 ask 4       -> b2";

        time_alone_changes_nothing_where_nobody_waits: 2, |settings| (settings.max_idle, settings.keep_time) = (1, Duration::MAX), "
            0  ask 1    -> connect A
            0  down 1   ->
            0  next     -> never
            0  ask 2    -> connect B
            0  up 2     -> b1
            0  answer 2 ->
            1  end 2    ->
            1  next     -> never";

        a_pause_grows_up_to_its_limit: 2, |settings| settings.max_retry_after = Duration::from_millis(700), "
            0    ask 1  -> connect A
            0    down 1 ->
            499  ask 2  -> connect B
            500  ask 3  -> connect A
            500  down 3 ->
            1199 ask 4 not B -> connect A
            1199 drop 4 ->
            1199 ask 4  -> connect B
            1200 ask 5  -> connect A";

        a_connect_that_is_dropped_was_never_meant: 2, one_connection, "
            0   ask 1  -> connect A
            0   ask 2  -> connect B
            0   ask 3  -> waits
            1   drop 1 -> 3: connect A
            2   down 3 ->
            501 ask 4  -> waits
            502 drop 4 ->
            502 ask 5  -> connect A
            503 drop 5 ->
            504 ask 6  -> connect A";

        a_probe_that_is_dropped_was_never_meant: 2, |_| (), "
            0   probe  -> at 500
            0   ask 1  -> connect A
            0   down 1 ->
            1   probe  -> at 500
            500 probe  -> connect A
            500 ask 2  -> connect B
            501 drop 0 ->
            502 probe  -> connect A
            503 drop 0 ->
            504 ask 3  -> connect A";

        a_probe_keeps_what_it_found_for_the_next: 1, |_| (), "
            0   ask 1  -> connect A
            0   down 1 ->
            500 probe  -> connect A
            500 ask 2  -> waits
            501 up 0   -> idle a1, 2: a1
            502 end 2 spent -> closed a1
            503 ask 3  -> connect A
            503 down 3 ->
            1003 probe -> connect A
            1004 up 0  -> idle a2
            1504 time  -> closed a2";

        a_kept_connection_that_a_request_passes_over_is_closed: 1, keeps_two, "
            0   ask 1  -> connect A
            0   up 1   -> a1
            0   answer 1 ->
            100 end 1  ->
            200 ask 2  -> a1
            200 gone 2 -> connect A, closed a1";

        one_that_is_passed_over_makes_room_where_there_is_none: 1, |settings| (settings.max_connections, settings.max_idle) = (1, 1), "
            0   ask 1  -> connect A
            0   up 1   -> a1
            1   end 1  ->
            4   ask 3  -> a1
            4   gone 3 -> connect A, closed a1";

        a_request_whose_kept_connection_died_takes_a_fresh_one: 1, keeps_two, "
            0 ask 1    -> connect A
            0 ask 2    -> connect A
            0 up 1     -> a1
            0 up 2     -> a2
            1 answer 1 ->
            1 answer 2 ->
            2 end 1    ->
            2 end 2    ->
            3 ask 3    -> a1
            4 end 3 spent -> closed a1
            4 ask 3 fresh -> connect A
            5 ask 4    -> a2";

        who_finds_its_connection_ended_is_before_those_who_wait: 1, |settings| (settings.max_connections, settings.max_idle) = (1, 1), "
            0 ask 1  -> connect A
            0 up 1   -> a1
            1 end 1  ->
            2 ask 2  -> a1
            2 ask 3  -> waits
            2 gone 2 -> connect A, closed a1
            3 down 2 -> 3: connect A";

        one_connection_carries_many_and_is_made_once: 1, |settings| settings.max_requests_per_connection = 3, "
            0 ask 1 -> connect A
            0 ask 2 -> waits
            0 ask 3 -> waits
            0 ask 4 -> waits
            1 up 1  -> a1, 2: a1, 3: a1, 4: connect A
            2 end 2 ->
            2 ask 5 -> a1
            3 end 1 spent ->
            3 ask 6 -> waits
            4 up 4  -> a2, 6: a2
            5 end 3 ->
            5 end 5 -> closed a1";

        a_connection_that_is_made_for_one_request_carries_no_other: 1, |settings| settings.max_requests_per_connection = 3, "
            0 ask 1 alone -> connect A
            0 ask 2       -> waits
            1 up 1        -> a1, 2: connect A
            2 end 1       -> closed a1";

        who_waits_for_a_connection_of_its_own_holds_up_nobody_who_shares: 1, |settings| (settings.max_connections, settings.max_requests_per_connection) = (1, 2), "
            0 ask 1       -> connect A
            0 up 1        -> a1
            0 ask 2       -> a1
            1 ask 3 alone -> waits
            1 ask 4 fresh -> waits
            1 ask 5       -> waits
            2 end 2       -> 5: a1
            3 drop 3      ->
            3 ask 6       -> waits
            4 end 5       -> 6: a1
            5 end 6 spent ->
            6 end 1       -> 4: connect A, closed a1";

        one_that_is_not_to_be_shared_is_made_beside_another: 1, |settings| settings.max_requests_per_connection = 3, "
            0 ask 1       -> connect A
            0 ask 2 alone -> connect A
            0 ask 3       -> waits
            1 up 2        -> a1
            1 end 2       -> closed a1
            2 up 1        -> a2, 3: a2";

        the_last_request_of_a_connection_is_alone: 1, |settings| (settings.max_requests_per_connection, settings.max_idle) = (3, 1), "
            0 ask 1       -> connect A
            0 up 1        -> a1
            0 answer 1    ->
            0 ask 2 alone -> connect A
            0 drop 2      ->
            1 end 1       ->
            1 ask 2 alone -> a1
            1 ask 3       -> connect A
            2 end 2       -> closed a1";

        one_that_was_given_is_all_there_is: 0, keeps_two, "
            0 ask 1       -> a0
            0 ask 2       -> waits
            1 end 1       -> 2: a0
            2 ask 3       -> waits
            3 end 2 spent -> 3: nobody, closed a0
            4 ask 4       -> nobody";

        nobody_is_asked_where_nobody_is: 0, |settings| settings.keep_time = Duration::ZERO, "
            0 time -> closed a0
            0 ask 1 -> nobody";

        without_a_pause_nobody_is_left_out: 1, |settings| settings.retry_after = Duration::ZERO, "
            0 ask 1  -> connect A
            0 ask 2  -> connect A
            1 down 1 ->
            1 ask 3  -> connect A
            1 ask 4  -> connect A";
    }
}
