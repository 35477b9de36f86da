//! The decisions of the sessions that can be seen from outside, and how often each was taken.

/// Names of decisions and what they are.
macro_rules! decisions {
    ($($name:ident $text:literal)*) => {
        /// A decision of a session.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Decision { $($name),* }

        /// What each decision is, in their order.
        pub const DECISIONS: [&str; [$(Decision::$name),*].len()] = [$($text),*];
    };
}

decisions! {
    Begins "server: a request begins"
    Params "server: parameters are handed on"
    Starts "server: a handler is run"
    Whole "server: a request is taken at once"
    OverBeforeStart "server: a request is over before its handler ran"
    RefusesFull "server: a request without room is refused"
    RefusesMalformed "server: parameters that are no pairs are refused"
    RefusesRole "server: a role without a handler is refused"
    RefusedByProtocol "server: the protocol refuses a request, of which the log is told"
    Body "server: STDIN is handed to its handler"
    DataBody "server: DATA is handed to its handler"
    Spool "server: input is worth more than memory"
    Full "server: the share is full, the rest waits"
    Room "server: there is room again for what waited"
    NotRead "server: nothing is read, for others have to act first"
    ReadWaits "server: a reader waits"
    ReadEnds "server: a reader is at the end"
    ReadClosed "server: a reader hears that the client closed"
    ReadAborted "server: a reader hears of an abort"
    ReadRefused "server: a reader hears of a refusal"
    ReadProtocol "server: a reader hears that it is not FastCGI"
    ReadLate "server: a reader hears that the client was too slow"
    ReadBroken "server: a reader hears that the connection failed"
    IsGone "server: who watches hears that the client is gone"
    IsThere "server: who watches is to wait"
    Taken "server: what is written waits in the answer"
    Sent "server: what is written leaves"
    WriteWaits "server: a writer waits"
    Plain "server: a record of a handler's own leaves"
    PlainWaits "server: a record of a handler's own waits"
    WriteStopped "server: a writer hears that nothing may leave"
    Flushed "server: all of a flush has left"
    EndWaits "server: the end waits"
    EndPart "server: what is left of an answer leaves before its end"
    EndLast "server: the end leaves"
    EndNothing "server: a request is over without an end"
    EndAborted "server: an aborted request ends"
    Fails "server: a failed answer that has not begun is a 500"
    FailsCut "server: a failed answer that has begun is cut"
    Drained "server: input that nobody wants is read before the end"
    Pause "server: input that nobody wants pauses, and is taken for over"
    Replies "server: a management record is answered"
    Shuts "server: writing is shut down"
    Lingers "server: what still comes is read and thrown away"
    ClosesIdle "server: an idle connection is closed"
    ClosesLeft "server: a connection that was left is closed"
    ClosesAnswered "server: a connection that is not kept is closed after its answer"
    ClosesGone "server: a connection whose client has gone is closed"
    ClosesCut "server: a connection is closed after a failed write"
    LateParams "server: the parameters were too slow"
    LateWrite "server: the client took too little"
    LateShutdown "server: the shutdown took too long"
    Waiting "server: a connection waits without a request"
    WaitingBegun "server: a connection waits for the rest of a request"
    Ghost "server: a call for a request that is over is refused"
    Warns "server: a line of the log is a warning"
    Notes "server: a line of the log is everyday"
    Asks "client: a request begins"
    AsksNoMore "client: no further request may begin"
    AsksFull "client: all places are taken"
    Values "client: values are asked for and come"
    Unknown "client: values are asked for, and the end comes without them"
    Wants "client: a request's input is taken"
    NoRoom "client: so much waits to be sent that no more input is taken"
    Stdout "client: an answer is handed on"
    Stderr "client: STDERR is handed on"
    Kept "client: so much is kept that nothing is read"
    Ends "client: a request ends"
    EndsUnanswered "client: a request ends without an answer"
    EndsRefused "client: a request was refused"
    MayBeRefused "client: an answer may turn out to be a refusal"
    FailsProtocol "client: it is not FastCGI"
    FailsClosed "client: the application closed"
    FailsBroken "client: the connection failed"
    FailsCutAnswer "client: the answer was cut by its end"
    LateWriteClient "client: the application took nothing"
    LateFirstByte "client: the first byte was too late"
    LateKept "client: a kept connection stayed silent"
    LateRead "client: the answer did not go on"
    LateTotal "client: all of it took too long"
    LateInput "client: the input was too late"
    Unread "client: an answer that nobody took held up others"
    LeftAborts "client: a request that is left is aborted by a record"
    LeftCloses "client: a request that is left closes the connection"
    AgainNo "client: a failed request is not sent again"
    AgainFresh "client: a failed request is sent again on a fresh connection"
    AgainElsewhere "client: a failed request is sent elsewhere"
    UsesKept "client: a kept connection may be used"
    AvoidsKept "client: a kept connection may not be used"
    Odd "client: something odd came, of which the log is told"
    ClosesClient "client: the connection is closed"
}

/// How often each decision was taken.
#[derive(Clone, Debug)]
pub struct Coverage([u64; DECISIONS.len()]);

impl Default for Coverage {
    fn default() -> Self {
        Self([0; DECISIONS.len()])
    }
}

impl Coverage {
    pub(super) fn note(&mut self, decision: Decision) {
        self.0[decision as usize] += 1;
    }

    /// Adds what another counted.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(own, more)| *own += more);
    }

    /// Each decision and how often it was taken.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        DECISIONS.into_iter().zip(self.0)
    }
}
