//! What goes over links, and how they end.

use super::host::{Host, PATIENCE, linked, with_socket};
use crate::peers::source::Source;
use crate::peers::task::CHUNK_SIZE_MAX;
use broadcast::LinkId;
use bytes::Bytes;
use node::Input;
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Bytes that tell where they are in a stream.
fn pattern(from: usize, size: usize) -> Vec<u8> {
    (from..from + size).map(|at| (at / 251 + at) as u8).collect()
}

fn read_all(socket: &mut TcpStream, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    socket.read_exact(&mut bytes).unwrap();
    bytes
}

/// A stream of the pattern.
struct Pattern {
    at: usize,
    end: usize,
    /// Where it breaks off.
    breaks_at: usize,
    rests: bool,
}

impl Pattern {
    /// From here to there.
    fn new(at: usize, end: usize) -> Pattern {
        Pattern { at, end, breaks_at: usize::MAX, rests: false }
    }
}

impl Source for Pattern {
    fn next_chunk(&mut self, size_max: usize) -> Result<Option<Bytes>, String> {
        if self.at >= self.breaks_at {
            return Err("the stream broke off".to_owned());
        }
        let size = size_max.min(self.end.min(self.breaks_at) - self.at);
        let chunk = pattern(self.at, size);
        self.at += size;
        Ok((size > 0).then(|| chunk.into()))
    }

    fn rests(&self) -> bool {
        self.rests
    }
}

#[test]
fn thousands_of_frames_keep_their_order_both_ways() {
    let mut sides = linked();
    let (mut sent, mut at) = ([0; 2], 0);
    for round in 0..300 {
        for (side, (host, link)) in sides.iter_mut().enumerate() {
            // More frames than one write takes, of many sizes, and none of them may be lost.
            for frame in 0..100 {
                let size = (round * 37 + frame * frame) % 400;
                host.send(*link, pattern(sent[side], size));
                sent[side] += size;
            }
            host.peers.flush();
        }
    }
    for (side, (host, link)) in sides.iter_mut().enumerate() {
        let expected = sent[1 - side];
        assert!(host.receive(*link, expected) == pattern(0, expected));
        at += expected;
    }
    assert!(at > 10_000_000, "{at}");
}

#[test]
fn what_a_slow_reader_leaves_waits_and_nothing_overtakes_it() {
    let (mut host, link, mut socket) = with_socket();
    let size = 1 << 20;
    for number in 0..40 {
        host.send_now(link, pattern(number * size, size));
    }
    assert!(read_all(&mut socket, 40 * size) == pattern(0, 40 * size));
    host.send_now(link, Bytes::from_static(b"the end"));
    assert_eq!(read_all(&mut socket, 7), b"the end");
    host.assert_silent();
}

#[test]
fn a_peer_that_takes_nothing_is_cut_off_and_others_are_not_held_up() {
    let (mut host, link, _deaf) = with_socket();
    let frame = Bytes::from(vec![1; 1 << 20]);
    (0..80).for_each(|_| host.send_now(link, frame.clone()));
    let reason = host.down(link);
    assert!(reason.ends_with("the other side is too slow"), "{reason}");
    host.send_now(link, frame);
    host.assert_silent();
}

#[test]
fn a_source_is_asked_as_it_is_taken_and_later_frames_come_behind_it() {
    let size = 200 << 20;
    let [(mut sender, to), (mut receiver, from)] = linked();
    sender.send(to, pattern(0, 1000));
    sender.peers.send_source(to, Box::new(Pattern::new(1000, size)));
    // More than may wait behind a peer that is merely slow.
    let behind = Bytes::from(vec![7; 1 << 20]);
    (0..70).for_each(|_| sender.send_now(to, behind.clone()));
    let mut at = 0;
    while at < size {
        let Input::Received { bytes, .. } = receiver.next() else { panic!("at {at}") };
        let count = bytes.len().min(size - at);
        assert!(bytes[..count] == pattern(at, count), "at {at}");
        at += count;
        assert!(bytes[count..].iter().all(|byte| *byte == 7));
        if count < bytes.len() {
            let rest = 70 * behind.len() - (bytes.len() - count);
            assert!(receiver.receive(from, rest).iter().all(|byte| *byte == 7));
            return;
        }
    }
    assert!(receiver.receive(from, 70 * behind.len()).iter().all(|byte| *byte == 7));
}

#[test]
fn a_source_that_rests_does_so_behind_each_piece() {
    let size = 10 << 20;
    let [(mut sender, to), (mut receiver, from)] = linked();
    let began = Instant::now();
    sender.peers.send_source(to, Box::new(Pattern { rests: true, ..Pattern::new(0, size) }));
    sender.send_now(to, Bytes::from_static(b"behind"));
    let received = receiver.receive(from, size + 6);
    assert!(received[..size] == pattern(0, size) && received[size..] == *b"behind");
    // The clock of the tasks counts in milliseconds.
    let pieces = size.div_ceil(CHUNK_SIZE_MAX) as u32;
    assert!(began.elapsed() >= (pieces - 1) * Duration::from_millis(1));
}

#[test]
fn a_source_that_breaks_off_ends_the_link() {
    let [(mut sender, to), (mut receiver, from)] = linked();
    let source = Pattern { breaks_at: 1 << 20, ..Pattern::new(0, usize::MAX) };
    sender.peers.send_source(to, Box::new(source));
    assert_eq!(sender.down(to), "the stream broke off");
    assert!(receiver.receive(from, 1 << 20) == pattern(0, 1 << 20));
    assert_eq!(receiver.down(from), "closed by the other side");
}

#[test]
fn bytes_that_were_received_take_no_more_memory_than_they_are() {
    let (mut host, link, mut socket) = with_socket();
    socket.write_all(b"few").unwrap();
    let Input::Received { bytes, link: from, .. } = host.next() else { panic!("no bytes") };
    assert_eq!((&bytes[..], from), (&b"few"[..], link));
    let owned = Vec::from(bytes.try_into_mut().unwrap());
    assert_eq!(owned.capacity(), 3);
}

#[test]
fn a_close_sends_what_waits_although_something_came_that_nobody_reads() {
    let (mut host, link, mut socket) = with_socket();
    socket.write_all(&[9; 100_000]).unwrap();
    let size = 30 << 20;
    host.send(link, pattern(0, size));
    host.peers.close(link);
    assert!(read_all(&mut socket, size) == pattern(0, size));
    assert_eq!(socket.read(&mut [0]).unwrap(), 0);
    drop(socket);
    // Nothing is told of it any more, and nothing more is sent.
    host.send_now(link, Bytes::from_static(b"late"));
    host.assert_silent();
}

#[test]
fn a_close_does_not_wait_for_ever_for_a_peer_that_takes_nothing() {
    let (mut host, link, mut deaf) = with_socket();
    host.send(link, vec![1; 60 << 20]);
    host.peers.close(link);
    // Nobody reads this; it fails once the other side is gone.
    while deaf.write_all(&[0; 1 << 16]).is_ok() {}
    let (mut taken, mut buffer) = (0, vec![0; 1 << 20]);
    while let Ok(count @ 1..) = deaf.read(&mut buffer) {
        taken += count;
    }
    assert!(taken < 60 << 20, "{taken}");
    host.assert_silent();
}

#[test]
fn all_that_came_is_told_before_the_end_and_the_end_once() {
    let (mut host, link, mut socket) = with_socket();
    let bytes = pattern(0, 3 << 20);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            socket.write_all(&bytes).unwrap();
            socket.shutdown(Shutdown::Both).unwrap();
        });
        assert!(host.receive(link, bytes.len()) == bytes);
    });
    assert_eq!(host.down(link), "closed by the other side");
    host.assert_silent();
}

#[test]
fn a_reset_ends_the_link_also_while_the_member_sends() {
    let (mut host, link, socket) = with_socket();
    host.send_now(link, vec![1; 20 << 20]);
    SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
    drop(socket);
    host.send_now(link, Bytes::from_static(b"more"));
    let reason = host.down(link);
    assert!(!reason.is_empty());
    host.assert_silent();
}

#[test]
fn a_member_that_is_busy_stops_the_sender_and_then_gets_everything() {
    let (mut host, link, mut socket) = with_socket();
    let size = 48 << 20;
    socket.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let (stalled, has_stalled) = channel();
    let writer = std::thread::spawn(move || {
        let bytes = pattern(0, size);
        let mut at = 0;
        while at < size {
            match socket.write(&bytes[at..]) {
                Ok(count) => at += count,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    let _ = stalled.send(at);
                }
            }
        }
        socket
    });
    let before = has_stalled.recv_timeout(PATIENCE).unwrap();
    assert!(before < size, "{before}");
    assert!(host.receive(link, size) == pattern(0, size));
    drop(writer.join().unwrap());
    assert_eq!(host.down(link), "closed by the other side");
}

#[test]
fn links_beside_each_other_do_not_mix() {
    let (mut dialler, mut listener) = (Host::start(), Host::start());
    let address = super::host::free_address();
    listener.listen(&[&address]);
    super::host::wait_for(&address);
    let first = listener.up();
    listener.down(first);
    for number in 0..20 {
        dialler.dial(LinkId(number), &[&address]);
        assert_eq!(dialler.up(), LinkId(number));
        let accepted = listener.up();
        dialler.send_now(LinkId(number), vec![number as u8; 1000]);
        assert_eq!(listener.receive(accepted, 1000), [number as u8; 1000]);
        listener.send_now(accepted, vec![100 + number as u8; 10]);
        assert_eq!(dialler.receive(LinkId(number), 10), [100 + number as u8; 10]);
    }
}
