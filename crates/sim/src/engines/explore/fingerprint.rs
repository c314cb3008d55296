//! The fingerprint of a state: two words of 64 bits over everything that its future depends on.
//!
//! Times count as they are from now: a clock begins at [`BEGIN`], so that a time is known by its
//! highest bits. Counts for reports are left out.

use super::small::{Node, Small};
use crate::engines::disk::{Disk, Image};
use crate::engines::history::{Chain, State};
use crate::engines::host::{Held, Host};
use crate::engines::subject::Subject;
use crate::hash::mix;
use crate::net::Packet;
use base::Time;
use std::fmt::{Debug, Write};
use std::hash::{Hash, Hasher};

/// When an exploration begins. No other number of an engine is between it and its double.
pub(super) const BEGIN: Time = Time(1 << 62);

/// A hash of 128 bits that is no secret.
#[derive(Clone, Debug)]
pub(super) struct Mixer {
    lanes: [u64; 2],
    now: Time,
}

impl Mixer {
    pub(super) fn new(now: Time) -> Mixer {
        Mixer { lanes: [0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344], now }
    }

    fn word(&mut self, word: u64) {
        self.lanes[0] = mix(self.lanes[0], word);
        self.lanes[1] = mix(self.lanes[1], word.rotate_left(32) ^ 0xa409_3822_299f_31d0);
    }

    pub(super) fn end(&self) -> u128 {
        let [high, low] = self.lanes.map(|lane| mix(mix(lane, 0), 1));
        u128::from(high) << 64 | u128::from(low)
    }

    /// Something that is shown whole when it is printed.
    fn debug(&mut self, value: &impl Debug) {
        let _infallible = write!(self, "{value:?}|");
    }

    fn chain(&mut self, chain: Chain) {
        self.word(chain.0);
    }

    fn state(&mut self, state: &State) {
        let State { last, count, chain, work } = state;
        last.hash(self);
        self.word(*count);
        self.chain(*chain);
        work.hash(self);
    }
}

impl Write for Mixer {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.lanes[0]
    }

    fn write(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.word(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.word(value.into());
    }

    fn write_u64(&mut self, value: u64) {
        let is_time = value >> 62 == BEGIN.0 >> 62;
        self.word(if is_time { value.wrapping_sub(self.now.0) } else { value });
    }

    fn write_i64(&mut self, value: i64) {
        self.word(value.cast_unsigned());
    }

    fn write_usize(&mut self, value: usize) {
        self.word(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        self.word(value.cast_unsigned() as u64);
    }
}

impl<S: Subject> Small<S>
where
    S::Engine: Hash,
{
    /// What the future of this state depends on.
    pub(super) fn fingerprint(&self) -> u128 {
        let mut mixer = Mixer::new(self.now);
        self.left.hash(&mut mixer);
        for node in &self.nodes {
            mixer.word(node.print as u64);
            mixer.word((node.print >> 64) as u64);
        }
        for (id, conn) in &self.conns {
            id.hash(&mut mixer);
            mixer.debug(&(conn.up, conn.channel, conn.ends[0].alive, conn.ends[1].alive));
            for pipe in &conn.pipes {
                pipe.len().hash(&mut mixer);
                for packet in pipe {
                    match packet {
                        Packet::Bytes(bytes) => bytes.hash(&mut mixer),
                        Packet::End(why) => why.hash(&mut mixer),
                    }
                }
            }
        }
        self.judge.memory().for_each(|word| mixer.word(word));
        mixer.end()
    }
}

impl<E: Hash> Node<E> {
    /// What of the future depends on this member alone.
    pub(super) fn fingerprint(&self, now: Time) -> u128 {
        let mut mixer = Mixer::new(now);
        let Node { host, peers, conns, jobs, listening, accepted, print: _ } = self;
        host_into(host, &mut mixer);
        (peers, accepted, listening).hash(&mut mixer);
        conns.hash(&mut mixer);
        mixer.debug(jobs);
        mixer.end()
    }
}

fn host_into<E: Hash>(host: &Host<E>, mixer: &mut Mixer) {
    host.engine.hash(mixer);
    disk_into(&host.disk, mixer);
    mixer.state(&host.state);
    mixer.debug(&host.view);
    host.links.len().hash(mixer);
    for (id, link) in &host.links {
        (id, link.channel, link.installed).hash(mixer);
        mixer.debug(&(&link.fetch, &link.down));
        link.held.len().hash(mixer);
        for held in &link.held {
            match held {
                Held::Frame { bytes, after } => (0, bytes, after).hash(mixer),
                Held::State => 1.hash(mixer),
                Held::Finish => 2.hash(mixer),
            }
        }
    }
    mixer.debug(&host.service);
    mixer.debug(&(host.silent, &host.inputs));
}

fn disk_into(disk: &Disk, mixer: &mut Mixer) {
    image_into(&disk.durable, mixer);
    mixer.chain(disk.live.tip().1);
    mixer.debug(&disk.pending);
    (disk.syncing, disk.upto, disk.appended).hash(mixer);
}

fn image_into(image: &Image, mixer: &mut Mixer) {
    mixer.chain(image.purged.1);
    mixer.chain(image.tip().1);
    (image.purged.0, &image.registers, &image.texts).hash(mixer);
    (&image.slots, &image.bases).hash(mixer);
    for (at, state) in &image.snapshots {
        at.hash(mixer);
        mixer.state(state);
    }
}
