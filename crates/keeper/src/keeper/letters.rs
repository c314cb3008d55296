//! Letters between members, whole packets of the reference's: what replicas forward to the
//! primary, and what the primary writes back.
//!
//! What comes in a letter is prepared like an own client's, under the ids that the letter names,
//! and nobody here waits for it. Clients cannot make a replica write a bad letter: that is the
//! other member's fault, and costs it the link.
//! Source: the reference's `LearnerHandler`, `Leader` and `Follower`.

use super::batch::Batch;
use super::outgoing::{BadLetter, Outgoing};
use super::primary::{Head, Primary};
use super::reads::Question;
use super::{Keeper, Moment, Role, Section, Service, millis};
use crate::session::{Owner, Place};
use crate::{AskMembers, Ids};
use base::{NodeId, SessionId, Time, WallTime, Zxid};
use broadcast::{Context, LinkId, ReadLevel};
use bytes::Bytes;
use jute::{Decode, Encode, Reader, put_int};
use trace::Event;
use tree::Tree;
use wire::quorum::{
    ForwardedRequest, Packet, PacketKind, Revalidate, RevalidateReply, Touches,
    put_packet_with_data,
};
use wire::{ErrorCode, OpCode};

/// A letter of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The link that it came on.
    pub from: LinkId,
    /// Whose it is.
    pub node: NodeId,
    /// One packet.
    pub bytes: Bytes,
}

impl Keeper {
    /// The primary takes letters of replicas, in order; without being primary it takes none, and
    /// they are lost ([`Keeper::is_primary`]). After a bad one it looks at no more of that link's.
    /// What comes behind a sync is held until that is answered ([`Keeper::freed`]): a replica of
    /// the reference takes the answers to its clients' writes and syncs only in the order in which
    /// it forwarded them, and a write that is decided before the sync's letter leaves holds up
    /// all others for ever.
    pub fn forwarded(
        &mut self,
        tree: &Tree,
        now: Time,
        wall: WallTime,
        letters: &[Letter],
        members: AskMembers<'_>,
        out: &mut Outgoing,
    ) {
        let Role::Primary(primary) = &mut self.role else { return };
        let moment = Moment { tree, now, wall, members };
        let mut batch = Batch::like(primary.last_batch);
        for letter in letters {
            if out.has_refused(letter.from) {
                continue;
            }
            if primary.syncs.is_asked_by(letter.from) {
                primary.held.push(letter.clone());
                continue;
            }
            let service = &mut self.service;
            if let Err(bad) = primary.letter(service, letter, moment, &mut batch, out) {
                out.refuse(letter.from, bad);
            }
        }
        primary.finish(batch, out);
    }

    /// Letters that waited behind a sync which is answered: to be given to [`Keeper::forwarded`]
    /// before all that came later.
    pub fn freed(&mut self) -> Vec<Letter> {
        let Role::Primary(primary) = &mut self.role else { return Vec::new() };
        let Primary { held, syncs, .. } = &mut **primary;
        held.extract_if(.., |letter| !syncs.is_asked_by(letter.from)).collect()
    }

    /// The primary is told which sessions a replica has heard of ([`Keeper::heartbeat`]).
    pub fn heard(&mut self, from: LinkId, touches: &[u8], now: Time, out: &mut Outgoing) {
        if !matches!(self.role, Role::Primary(_)) {
            return;
        }
        match Touches::decode(Some(touches)) {
            Ok(touches) => touches.iter().for_each(|(session, timeout_ms)| {
                self.service.sessions.touch(SessionId(session), millis(timeout_ms), now);
            }),
            Err(error) => out.refuse(from, error.into()),
        }
    }

    /// A link to a replica is down. Its clients' sessions go on until they expire: they may come
    /// back anywhere.
    pub fn link_lost(&mut self, link: LinkId) {
        if let Role::Primary(primary) = &mut self.role {
            primary.syncs.forget(link);
            primary.held.retain(|letter| letter.from != link);
        }
    }

    /// A replica takes a letter of the primary. All that was delivered before the letter must be
    /// applied before this is called: a letter tells of it.
    pub fn answered(&mut self, section: &mut Section<'_>, letter: &[u8]) {
        let Role::Replica(replica) = &mut self.role else { return };
        if let Err(BadLetter(reason)) = replica.answered(&mut self.service, letter, section) {
            self.service.events.push(Event::LetterRefused { reason });
        }
        self.answer_ready(section);
    }

    /// The primary is told by its engine what a read must see that it asked for
    /// ([`Outgoing::reads`]). May be called before that is applied.
    pub fn read_ready(&mut self, section: &mut Section<'_>, context: Context, at_least: Zxid) {
        let Role::Primary(primary) = &mut self.role else { return };
        primary.must_see(context, at_least, section.outgoing);
        self.answer_ready(section);
    }
}

impl Primary {
    fn letter(
        &mut self,
        service: &mut Service,
        letter: &Letter,
        moment: Moment<'_>,
        batch: &mut Batch,
        out: &mut Outgoing,
    ) -> Result<(), BadLetter> {
        let from = letter.from;
        let packet = Packet::decode(&letter.bytes)?;
        let mut data = Reader::new(packet.data.unwrap_or_default());
        match packet.kind() {
            Some(PacketKind::Request) => {
                let request = ForwardedRequest::decode(&mut data)?;
                // One that its observer master passed on would not know the answer. Like any
                // failed write the question is answered through the order, which is seen by all.
                if let Some(question) = Question::of(&request, packet.auth_ids.as_ref())
                    && question.is_of(letter.node)
                {
                    out.reads.push(self.syncs.question(from, question));
                    return Ok(());
                }
                let ids = packet.auth_ids.map(|ids| ids.to_vec()).unwrap_or_default();
                self.request(service, from, &request, &Ids::new(ids), moment, batch, out)
            }
            Some(PacketKind::Revalidate) => {
                let question = Revalidate::decode(&mut data)?;
                out.answers.push((from, revalidate(service, from, question, moment.now)));
                Ok(())
            }
            Some(_) | None => Err(BadLetter("a letter of a kind that replicas do not write")),
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn request(
        &mut self,
        service: &mut Service,
        from: LinkId,
        request: &ForwardedRequest<'_>,
        ids: &Ids,
        moment: Moment<'_>,
        batch: &mut Batch,
        out: &mut Outgoing,
    ) -> Result<(), BadLetter> {
        let ForwardedRequest { session_id, cxid, op, body } = *request;
        let session = SessionId(session_id);
        if session == SessionId::NONE {
            return Err(BadLetter("a request without a session"));
        }
        let op = OpCode::from_number(op).ok_or(BadLetter("an operation that does not exist"))?;
        let head = Head::unasked(session, cxid, op, Owner::Link(from));
        match op {
            OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::SetData
            | OpCode::SetAcl
            | OpCode::Multi
            | OpCode::Reconfig
            | OpCode::CloseSession
            // The reference's replicas let clients ask for these two, which fails here.
            | OpCode::Check
            | OpCode::DeleteContainer => {
                self.propose(service, head, ids, moment, batch, |p, out| p.write(op, body, out));
                if op == OpCode::CloseSession {
                    service.sessions.set_closing(session); // from here on it takes nothing
                }
            }
            OpCode::CreateSession => {
                let timeout_ms = Reader::new(body).int()?;
                self.create_session(service, from, head, timeout_ms, moment, batch);
            }
            // A client that has moved on is told by its replica, which sees no more of its
            // session's writes.
            OpCode::Sync => out.reads.push(self.syncs.of_link(ReadLevel::Proposed, from)),
            OpCode::Error
            | OpCode::Exists
            | OpCode::GetData
            | OpCode::GetAcl
            | OpCode::GetChildren
            | OpCode::Ping
            | OpCode::GetChildren2
            | OpCode::CheckWatches
            | OpCode::RemoveWatches
            | OpCode::MultiRead
            | OpCode::Auth
            | OpCode::SetWatches
            | OpCode::Sasl
            | OpCode::GetEphemerals
            | OpCode::GetAllChildrenNumber
            | OpCode::SetWatches2
            | OpCode::AddWatch
            | OpCode::WhoAmI => return Err(BadLetter("an operation that replicas do themselves")),
        }
        Ok(())
    }

    /// A session that a replica has named. One that is there already, and is not about to end,
    /// moves to that replica.
    fn create_session(
        &mut self,
        service: &mut Service,
        from: LinkId,
        head: Head,
        timeout_ms: i32,
        moment: Moment<'_>,
        batch: &mut Batch,
    ) {
        let session = head.session;
        let closing = service.sessions.get(session).is_some_and(|liveness| liveness.closing);
        if !closing {
            move_away(service, session, from, timeout_ms, moment.now);
        }
        self.propose(service, head, &Ids::default(), moment, batch, |_, out| {
            if closing {
                return Err(ErrorCode::SessionExpired);
            }
            put_int(out, timeout_ms);
            Ok(OpCode::CreateSession)
        });
    }
}

/// A replica's client wants to go on with its session: it may, if that lives.
fn revalidate(service: &mut Service, from: LinkId, question: Revalidate, now: Time) -> Bytes {
    let Revalidate { session_id, timeout_ms } = question;
    let session = SessionId(session_id);
    let is_valid = service.sessions.is_open(session);
    if is_valid {
        move_away(service, session, from, timeout_ms, now);
    }
    let mut letter = Vec::new();
    put_packet_with_data(&mut letter, PacketKind::Revalidate, -1, |out| {
        RevalidateReply { session_id, is_valid }.encode(out);
    });
    Bytes::from(letter)
}

/// The session is a replica's from here on; a connection that it has here is left behind.
fn move_away(service: &mut Service, session: SessionId, to: LinkId, timeout_ms: i32, now: Time) {
    let before = service.sessions.get(session).and_then(|liveness| liveness.connection);
    service.ready.extend(before.map(|connection| super::Ready::Close { connection }));
    service.sessions.track(session, millis(timeout_ms), Place::behind(to), now);
}
