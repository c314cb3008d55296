//! Syncs at the primary, and what replicas ask for reads: each waits for the engine to say what it
//! must see, and for that to be applied.
//!
//! An own client's sync has its place among the session's writes; a replica's is answered with a
//! letter, in the order of the syncs of all replicas, and so are questions in theirs.

use super::outgoing::Outgoing;
use super::reads::Question;
use base::Zxid;
use broadcast::{Context, LinkId, ReadLevel};
use bytes::Bytes;
use std::collections::VecDeque;
use wire::quorum::{PacketKind, put_packet};

/// All that is not answered.
#[derive(Debug, Default)]
pub(super) struct Syncs {
    asked: u64,
    own: VecDeque<Sync<Box<[u8]>>>,
    links: VecDeque<Sync<LinkId>>,
    questions: VecDeque<Sync<(LinkId, Question)>>,
}

#[derive(Debug)]
struct Sync<T> {
    context: Context,
    /// What must be applied, once the engine has said so.
    at_least: Option<Zxid>,
    /// Who is to be told: an own client what it asked, or a replica.
    asker: T,
}

impl<T> Sync<T> {
    fn is_ready(&self, applied: Zxid) -> bool {
        self.at_least.is_some_and(|at_least| at_least <= applied)
    }
}

impl Syncs {
    /// An own client's, with the request's body.
    pub(super) fn own(&mut self, level: ReadLevel, body: &[u8]) -> (Context, ReadLevel) {
        let context = self.next_context();
        self.own.push_back(Sync { context, at_least: None, asker: body.into() });
        (context, level)
    }

    /// A replica's.
    pub(super) fn of_link(&mut self, level: ReadLevel, link: LinkId) -> (Context, ReadLevel) {
        let context = self.next_context();
        self.links.push_back(Sync { context, at_least: None, asker: link });
        (context, level)
    }

    /// A replica's question for what its reads must see.
    pub(super) fn question(&mut self, link: LinkId, question: Question) -> (Context, ReadLevel) {
        let context = self.next_context();
        self.questions.push_back(Sync { context, at_least: None, asker: (link, question) });
        (context, ReadLevel::Linearizable)
    }

    /// Takes the oldest own one, answered or not.
    pub(super) fn take_own(&mut self) -> Box<[u8]> {
        self.own.pop_front().expect("the queue of what is under way has as many").asker
    }

    /// The engine's answer. One that is not known any more was answered by what came after it.
    pub(super) fn must_see(&mut self, context: Context, at_least: Zxid) {
        fn note<T>(syncs: &mut VecDeque<Sync<T>>, context: Context, at_least: Zxid) {
            if let Some(sync) = syncs.iter_mut().find(|sync| sync.context == context) {
                sync.at_least = Some(at_least);
            }
        }
        note(&mut self.own, context, at_least);
        note(&mut self.links, context, at_least);
        note(&mut self.questions, context, at_least);
    }

    /// Whether the oldest own one waits for nothing.
    pub(super) fn is_own_ready(&self, applied: Zxid) -> bool {
        self.own.front().is_some_and(|sync| sync.is_ready(applied))
    }

    /// Whether a replica is to be told.
    pub(super) fn has_links_ready(&self, applied: Zxid) -> bool {
        self.links.front().is_some_and(|sync| sync.is_ready(applied))
            || self.questions.front().is_some_and(|asked| asked.is_ready(applied))
    }

    /// Whether a replica waits for an answer.
    pub(super) fn is_asked_by(&self, link: LinkId) -> bool {
        self.links.iter().any(|sync| sync.asker == link)
    }

    /// Tells the replicas whose turn has come.
    pub(super) fn answer_links(&mut self, applied: Zxid, out: &mut Outgoing) {
        while let Some(sync) = self.links.pop_front_if(|sync| sync.is_ready(applied)) {
            let mut letter = Vec::new();
            put_packet(&mut letter, PacketKind::Sync, 0, None);
            out.answers.push((sync.asker, Bytes::from(letter)));
        }
        while let Some(asked) = self.questions.pop_front_if(|asked| asked.is_ready(applied)) {
            let (link, question) = asked.asker;
            out.answers.extend(asked.at_least.map(|at_least| (link, question.answer(at_least))));
        }
    }

    /// Nobody is at the other end of this link any more.
    pub(super) fn forget(&mut self, link: LinkId) {
        self.links.retain(|sync| sync.asker != link);
        self.questions.retain(|asked| asked.asker.0 != link);
    }

    /// A number for what the engine is asked next.
    pub(super) fn next_context(&mut self) -> Context {
        self.asked += 1;
        Context(self.asked)
    }
}
