//! The shape of the tree: records, names and data, and the links between them.
//!
//! Invariants: the root is node 0 and is never removed; a node is in the index under its parent
//! and name, and in its parent's list of children; only nodes that had children (or a snapshot or
//! a replayed delete says so) have a family; a node that is removed has no children.

use crate::blobs::{Blob, Blobs};
use crate::index::{self, Index};
use crate::listings::Listings;
use crate::slab::{NONE, Slab, Slot};
use jute::{put_buffer, put_int};
use wire::StatPersisted;

/// The root's place.
pub(crate) const ROOT: u32 = 0;

/// One cache line: what every node has.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Record {
    pub(crate) czxid: i64,
    pub(crate) mzxid: i64,
    pub(crate) ctime: i64,
    pub(crate) mtime: i64,
    pub(crate) version: i32,
    pub(crate) aversion: i32,
    pub(crate) parent: u32,
    /// Neighbours among the children of the parent, newest first.
    prev: u32,
    next: u32,
    /// A slot of the ACL cache.
    pub(crate) acl: u32,
    blob: u32,
    family: u32,
}

/// What only parents have.
#[derive(Clone, Copy)]
pub(crate) struct Family {
    pub(crate) pzxid: i64,
    pub(crate) cversion: i32,
    pub(crate) children: u32,
    first: u32,
    /// CRC-32 of the parent's path and data, so that a child that comes costs no pass over them.
    pub(crate) digest_prefix: u32,
}

impl Slot for Record {
    const EMPTY: Record = Record {
        czxid: 0,
        mzxid: 0,
        ctime: 0,
        mtime: 0,
        version: 0,
        aversion: 0,
        parent: NONE,
        prev: NONE,
        next: NONE,
        acl: 0,
        blob: 0,
        family: NONE,
    };

    fn link(&self) -> u32 {
        self.next
    }

    fn set_free(&mut self, link: u32) {
        *self = Record { next: link, ..Record::EMPTY };
    }
}

impl Slot for Family {
    const EMPTY: Family =
        Family { pzxid: 0, cversion: 0, children: 0, first: NONE, digest_prefix: 0 };

    fn link(&self) -> u32 {
        self.first
    }

    fn set_free(&mut self, link: u32) {
        self.first = link;
    }
}

/// All nodes.
pub(crate) struct Nodes {
    records: Slab<Record>,
    families: Slab<Family>,
    blobs: Blobs,
    index: Index,
    listings: Listings,
    len: usize,
}

impl Nodes {
    /// A tree of a root alone.
    pub(crate) fn new(data: Option<&[u8]>, acl: u32, stat: &StatPersisted) -> Nodes {
        let mut nodes = Nodes {
            records: Slab::new(),
            families: Slab::new(),
            blobs: Blobs::new(),
            index: Index::new(),
            listings: Listings::default(),
            len: 0,
        };
        let root = nodes.add_record(NONE, "", data, acl, stat);
        assert!(root == ROOT, "the first record is the root's");
        nodes
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(crate) fn record(&self, node: u32) -> &Record {
        &self.records[node]
    }

    pub(crate) fn record_mut(&mut self, node: u32) -> &mut Record {
        &mut self.records[node]
    }

    #[inline]
    pub(crate) fn family(&self, node: u32) -> Option<&Family> {
        match self.records[node].family {
            NONE => None,
            family => Some(&self.families[family]),
        }
    }

    pub(crate) fn family_mut(&mut self, node: u32) -> Option<&mut Family> {
        match self.records[node].family {
            NONE => None,
            family => Some(&mut self.families[family]),
        }
    }

    /// Gives a node a family that says what was true without one.
    pub(crate) fn add_family(&mut self, node: u32, digest_prefix: u32) {
        let pzxid = self.records[node].czxid;
        let family = Family { pzxid, digest_prefix, ..Family::EMPTY };
        self.records[node].family = self.families.insert(family);
    }

    #[inline]
    pub(crate) fn blob(&self, node: u32) -> Blob<'_> {
        self.blobs.get(self.records[node].blob)
    }

    /// The stored owner; 0 for plain nodes.
    #[inline]
    pub(crate) fn owner(&self, node: u32) -> i64 {
        self.blobs.owner(self.records[node].blob)
    }

    pub(crate) fn name(&self, node: u32) -> &str {
        std::str::from_utf8(self.blob(node).name).expect("names are stored from strings")
    }

    /// Replaces a node's data; answers with how many bytes there were.
    pub(crate) fn set_data(&mut self, node: u32, data: Option<&[u8]>) -> usize {
        let record = &mut self.records[node];
        let (blob, old) = self.blobs.set_data(record.blob, data);
        record.blob = blob;
        old
    }

    /// The child of `parent` with that name.
    #[inline]
    pub(crate) fn child(&self, parent: u32, name: &str) -> Option<u32> {
        self.child_named(parent, name.as_bytes())
    }

    #[inline]
    fn child_named(&self, parent: u32, name: &[u8]) -> Option<u32> {
        self.index.find(index::hash(parent, name), |node| {
            let record = &self.records[node];
            record.parent == parent && self.blobs.name(record.blob) == name
        })
    }

    /// The node at `path`, taken verbatim; "" and "/" are the root.
    pub(crate) fn find(&self, path: &str) -> Option<u32> {
        if path.is_empty() || path == "/" {
            return Some(ROOT);
        }
        let mut names = path.as_bytes().strip_prefix(b"/")?.split(|byte| *byte == b'/');
        names.try_fold(ROOT, |node, name| self.child_named(node, name))
    }

    /// The node whose children's paths start with `path` and a slash.
    pub(crate) fn find_parent(&self, path: &str) -> Option<u32> {
        if path == "/" { None } else { self.find(path) }
    }

    /// Adds a node that is not there yet; its parent has a family.
    pub(crate) fn insert(
        &mut self,
        parent: u32,
        name: &str,
        data: Option<&[u8]>,
        acl: u32,
        stat: &StatPersisted,
    ) -> u32 {
        let node = self.add_record(parent, name, data, acl, stat);
        let family = self.families_of(parent);
        let next = std::mem::replace(&mut family.first, node);
        family.children += 1;
        let children = family.children;
        self.listings.changed(self.records[parent].family, children);
        self.records[node].next = next;
        if next != NONE {
            self.records[next].prev = node;
        }
        self.index.insert(index::hash(parent, name.as_bytes()), node);
        node
    }

    /// Takes out a node that has no children and is not the root.
    pub(crate) fn remove(&mut self, node: u32) {
        assert!(node != ROOT && self.first_child(node).is_none(), "only leaves are removed");
        let Record { parent, prev, next, blob, family, .. } = self.records[node];
        if prev == NONE {
            self.families_of(parent).first = next;
        } else {
            self.records[prev].next = next;
        }
        if next != NONE {
            self.records[next].prev = prev;
        }
        let siblings = self.families_of(parent);
        siblings.children -= 1;
        let children = siblings.children;
        self.listings.changed(self.records[parent].family, children);
        self.index.remove(index::hash(parent, self.blobs.name(blob)), node);
        self.blobs.remove(blob);
        if family != NONE {
            self.families.remove(family);
        }
        self.records.remove(node);
        self.len -= 1;
    }

    pub(crate) fn first_child(&self, node: u32) -> Option<u32> {
        self.family(node).and_then(|family| some(family.first))
    }

    /// The children, newest first.
    pub(crate) fn children(&self, node: u32) -> impl Iterator<Item = u32> + use<'_> {
        std::iter::successors(self.first_child(node), |child| some(self.records[*child].next))
    }

    /// Appends the vector of the children's names as jute has it.
    pub(crate) fn put_children(&self, node: u32, out: &mut Vec<u8>) {
        let Some(family) = self.family(node) else { return put_int(out, 0) };
        let place = self.records[node].family;
        if let Some(kept) = self.listings.of(place) {
            return out.extend_from_slice(kept);
        }
        let start = out.len();
        put_int(out, i32::try_from(family.children).unwrap_or(i32::MAX));
        for child in self.children(node) {
            put_buffer(out, Some(self.blobs.name(self.records[child].blob)));
        }
        self.listings.keep(place, &out[start..]);
    }

    /// The next node below `top` in pre-order.
    pub(crate) fn after(&self, node: u32, top: u32) -> Option<u32> {
        self.first_child(node).or_else(|| self.after_subtree(node, top))
    }

    /// The next node below `top` in pre-order that is not below `node`.
    pub(crate) fn after_subtree(&self, mut node: u32, top: u32) -> Option<u32> {
        while node != top {
            if let Some(next) = some(self.records[node].next) {
                return Some(next);
            }
            node = self.records[node].parent;
        }
        None
    }

    /// `top` and all below it, parents first.
    pub(crate) fn subtree(&self, top: u32) -> impl Iterator<Item = u32> + use<'_> {
        std::iter::successors(Some(top), move |node| self.after(*node, top))
    }

    /// Appends the path of a node; nothing for the root.
    pub(crate) fn push_path(&self, node: u32, path: &mut String) {
        let mut ancestors = Vec::new();
        let mut at = node;
        while at != ROOT {
            ancestors.push(at);
            at = self.records[at].parent;
        }
        for at in ancestors.into_iter().rev() {
            path.push('/');
            path.push_str(self.name(at));
        }
    }

    pub(crate) fn stat(&self, node: u32) -> StatPersisted {
        let record = &self.records[node];
        let (cversion, pzxid) =
            self.family(node).map_or((0, record.czxid), |family| (family.cversion, family.pzxid));
        StatPersisted {
            czxid: record.czxid,
            mzxid: record.mzxid,
            ctime: record.ctime,
            mtime: record.mtime,
            version: record.version,
            cversion,
            aversion: record.aversion,
            ephemeral_owner: self.blobs.owner(record.blob),
            pzxid,
        }
    }

    fn families_of(&mut self, parent: u32) -> &mut Family {
        self.family_mut(parent).expect("a parent has a family")
    }

    fn add_record(
        &mut self,
        parent: u32,
        name: &str,
        data: Option<&[u8]>,
        acl: u32,
        stat: &StatPersisted,
    ) -> u32 {
        let blob = self.blobs.insert(name.as_bytes(), stat.ephemeral_owner, data);
        self.len += 1;
        let node = self.records.insert(Record {
            czxid: stat.czxid,
            mzxid: stat.mzxid,
            ctime: stat.ctime,
            mtime: stat.mtime,
            version: stat.version,
            aversion: stat.aversion,
            parent,
            prev: NONE,
            next: NONE,
            acl,
            blob,
            family: NONE,
        });
        if stat.cversion != 0 || stat.pzxid != stat.czxid {
            self.add_family(node, 0);
            let family = self.families_of(node);
            (family.cversion, family.pzxid) = (stat.cversion, stat.pzxid);
        }
        node
    }
}

fn some(link: u32) -> Option<u32> {
    (link != NONE).then_some(link)
}
