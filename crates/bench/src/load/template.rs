//! Requests encoded once: sending one copies its bytes and writes an xid and some digits into them.
//!
//! Holes are runs of `#` in paths; each takes a number with leading zeros, as many digits as it is wide.
//! Invariant: what is emitted equals what `wire` encodes for the path with those digits.

use jute::Encode;
use wire::{Acls, CreateRequest, MULTI_END, MultiHeader, OpCode, PathWatchRequest};
use wire::{RequestHeader, SetDataRequest, xid};

/// A request frame with holes.
#[derive(Clone, Debug)]
pub struct Template {
    frame: Vec<u8>,
    /// Offset and width of each hole, in order.
    holes: Vec<(usize, usize)>,
}

impl Template {
    /// `path` is what the body has holes in, at each of its places; elsewhere a `#` is a number's byte.
    fn new(op: OpCode, body: &[u8], path: &str) -> Template {
        let mut frame = vec![0; 4];
        RequestHeader { xid: 0, op: op.number() }.encode(&mut frame);
        frame.extend_from_slice(body);
        let length = u32::try_from(frame.len() - 4).expect("requests are far below 4 GiB");
        frame[..4].copy_from_slice(&length.to_be_bytes());
        let mut holes = Vec::new();
        let windows = frame.windows(path.len().max(1)).enumerate();
        for (start, _) in windows.filter(|(_, window)| *window == path.as_bytes()) {
            holes.extend(runs(path).map(|(at, width)| (start + at, width)));
        }
        Template { frame, holes }
    }

    /// `getData`, with a watch or without.
    #[must_use]
    pub fn get(path: &str, watch: bool) -> Template {
        Template::new(OpCode::GetData, &bytes(&PathWatchRequest { path: path.into(), watch }), path)
    }

    /// `exists` without a watch.
    #[must_use]
    pub fn exists(path: &str) -> Template {
        Template::new(
            OpCode::Exists,
            &bytes(&PathWatchRequest { path: path.into(), watch: false }),
            path,
        )
    }

    /// `getChildren` without a watch.
    #[must_use]
    pub fn children(path: &str) -> Template {
        let request = PathWatchRequest { path: path.into(), watch: false };
        Template::new(OpCode::GetChildren, &bytes(&request), path)
    }

    /// `setData` of any version.
    #[must_use]
    pub fn set(path: &str, data: &[u8]) -> Template {
        let request = SetDataRequest { path: path.into(), data: Some(data), version: -1 };
        Template::new(OpCode::SetData, &bytes(&request), path)
    }

    /// `create` with the open access list; `flags` as on the wire.
    #[must_use]
    pub fn create(path: &str, data: &[u8], flags: i32) -> Template {
        let request = CreateRequest {
            path: path.into(),
            data: Some(data),
            acl: Some(Acls::OPEN),
            flags,
            ttl_ms: 0,
        };
        let mut body = Vec::new();
        request.encode(&mut body);
        Template::new(OpCode::Create, &body, path)
    }

    /// `sync`.
    #[must_use]
    pub fn sync(path: &str) -> Template {
        let mut body = Vec::new();
        jute::put_string(&mut body, path);
        Template::new(OpCode::Sync, &body, path)
    }

    /// A multi of `count` `setData` of any version; each path has its own holes.
    #[must_use]
    pub fn multi_set(path: &str, data: &[u8], count: usize) -> Template {
        let mut body = Vec::new();
        for _ in 0..count {
            MultiHeader { op: OpCode::SetData.number(), done: false, err: -1 }.encode(&mut body);
            SetDataRequest { path: path.into(), data: Some(data), version: -1 }.encode(&mut body);
        }
        MULTI_END.encode(&mut body);
        Template::new(OpCode::Multi, &body, path)
    }

    /// `ping`; sent with the xid that pings have.
    #[must_use]
    pub fn ping() -> Template {
        let mut template = Template::new(OpCode::Ping, &[], "");
        template.frame[4..8].copy_from_slice(&xid::PING.to_be_bytes());
        template
    }

    /// The end of a session.
    #[must_use]
    pub fn close() -> Template {
        Template::new(OpCode::CloseSession, &[], "")
    }

    /// Appends the request; `number` is asked once per hole, in order.
    #[inline]
    pub fn emit(&self, xid: i32, out: &mut Vec<u8>, mut number: impl FnMut() -> u64) {
        let start = out.len();
        out.extend_from_slice(&self.frame);
        let frame = &mut out[start..];
        frame[4..8].copy_from_slice(&xid.to_be_bytes());
        for (at, width) in &self.holes {
            let mut rest = number();
            for digit in frame[*at..*at + *width].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
    }
}

/// Offset and width of each run of `#`.
fn runs(path: &str) -> impl Iterator<Item = (usize, usize)> {
    let is_start = |at: &usize| path.as_bytes()[..*at].last() != Some(&b'#');
    let starts = path.match_indices('#').map(|(at, _)| at).filter(is_start);
    starts.map(|at| (at, path[at..].bytes().take_while(|byte| *byte == b'#').count()))
}

fn bytes(record: &impl Encode) -> Vec<u8> {
    let mut out = Vec::new();
    record.encode(&mut out);
    out
}

/// A node's data: letters, so that no byte looks like a hole; not all the same, so that nothing compresses it away.
#[must_use]
pub fn value(size: usize) -> Vec<u8> {
    let mut rng = base::Rng::new(size as u64);
    (0..size).map(|_| b'a' + rng.below(26) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::{Template, value};
    use jute::Encode;
    use wire::{OpCode, RequestHeader, SetDataRequest};

    fn emitted(template: &Template, xid: i32, numbers: &[u64]) -> Vec<u8> {
        let mut out = vec![9; 3];
        let mut numbers = numbers.iter();
        template.emit(xid, &mut out, || *numbers.next().expect("a number per hole"));
        assert_eq!(numbers.next(), None);
        out.split_off(3)
    }

    #[test]
    fn what_is_emitted_is_what_wire_encodes() {
        let data = value(100);
        let sent = emitted(&Template::set("/b/k########", &data), 77, &[1234]);
        let mut expected = vec![0; 4];
        RequestHeader { xid: 77, op: OpCode::SetData.number() }.encode(&mut expected);
        SetDataRequest { path: "/b/k00001234".into(), data: Some(&data), version: -1 }
            .encode(&mut expected);
        let length = u32::try_from(expected.len() - 4).unwrap();
        expected[..4].copy_from_slice(&length.to_be_bytes());
        assert_eq!(sent, expected);
    }

    /// A template with holes, filled, is the template without holes of the whole path.
    #[test]
    fn every_template_equals_its_plain_form() {
        let data = value(10);
        let (holes, plain) = ("/b/d####/n##########", "/b/d0042/n0000000007");
        let pairs = [
            (Template::get(holes, true), Template::get(plain, true)),
            (Template::exists(holes), Template::exists(plain)),
            (Template::children(holes), Template::children(plain)),
            (Template::set(holes, &data), Template::set(plain, &data)),
            (Template::create(holes, &data, 2), Template::create(plain, &data, 2)),
            (Template::sync(holes), Template::sync(plain)),
        ];
        for (holed, whole) in pairs {
            assert_eq!(emitted(&holed, 5, &[42, 7]), emitted(&whole, 5, &[]));
        }
        let multi = Template::multi_set("/k##", &data, 2);
        let text = emitted(&multi, 1, &[3, 14]);
        let (first, second) = (find(&text, b"/k03"), find(&text, b"/k14"));
        assert!(first < second, "the paths of a multi come in order");
    }

    /// A path of 35 bytes has a length field that ends in the byte of `#`.
    #[test]
    fn a_length_is_no_hole() {
        let (holes, plain) =
            ("/a-path-of-thirty-five-bytes/n#####", "/a-path-of-thirty-five-bytes/n00012");
        assert_eq!(holes.len(), usize::from(b'#'));
        let (holed, whole) = (Template::create(holes, b"", 0), Template::create(plain, b"", 0));
        assert_eq!(emitted(&holed, 5, &[12]), emitted(&whole, 5, &[]));
    }

    fn find(text: &[u8], word: &[u8]) -> usize {
        text.windows(word.len()).position(|window| window == word).expect("the path is there")
    }

    #[test]
    fn values_have_no_holes() {
        assert!(value(10_000).iter().all(u8::is_ascii_lowercase));
    }
}
