//! What clients ask for: few names, so that they meet; every operation, so that nothing is left out.

use base::Rng;
use check::{Acl, Mode, Op, WatchLists, perms};

/// What a workload may use.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    /// Share of writes in percent.
    pub(crate) writes: u64,
    /// Whether nodes with a time to live are made (they may be refused all the same).
    pub(crate) ttl: bool,
    pub(crate) acl: bool,
    pub(crate) multi: bool,
    pub(crate) ephemeral: bool,
    /// Whether a multi makes ephemeral nodes, too: which part of one fails must be known.
    pub(crate) multi_ephemeral: bool,
    pub(crate) watches: bool,
    pub(crate) data_max: u64,
}

impl Workload {
    /// A random half of the features.
    pub(crate) fn draw(rng: &mut Rng, acl: bool, data_max: u64) -> Workload {
        Workload {
            writes: *rng.pick(&[20, 50, 50, 80]),
            ttl: rng.percent(40),
            acl: acl && rng.percent(70),
            multi: rng.percent(60),
            ephemeral: rng.percent(70),
            multi_ephemeral: true,
            watches: rng.percent(70),
            data_max,
        }
    }

    /// The next request. `user` is a digest id that some access lists name.
    pub(crate) fn next(&self, rng: &mut Rng, user: Option<&str>) -> Op {
        if rng.percent(self.writes) { self.write(rng, user) } else { self.read(rng) }
    }

    fn write(&self, rng: &mut Rng, user: Option<&str>) -> Op {
        if self.multi && rng.percent(12) {
            let count = rng.between(0, 5);
            return Op::Multi((0..count).map(|_| self.part(rng, user)).collect());
        }
        match rng.below(100) {
            0..48 => self.create(rng, user),
            48..68 => Op::Delete { path: path(rng), version: version(rng) },
            68..92 => self.set_data(rng),
            _ if self.acl => {
                Op::SetAcl { path: path(rng), acl: self.list(rng, user), version: version(rng) }
            }
            _ => self.set_data(rng),
        }
    }

    fn part(&self, rng: &mut Rng, user: Option<&str>) -> Op {
        match rng.below(10) {
            0..5 => {
                let mut create = self.create(rng, user);
                if let Op::Create { mode, .. } = &mut create {
                    mode.ephemeral &= self.multi_ephemeral;
                }
                create
            }
            5..7 => Op::Delete { path: path(rng), version: version(rng) },
            7..9 => self.set_data(rng),
            _ => Op::Check { path: path(rng), version: version(rng) },
        }
    }

    fn set_data(&self, rng: &mut Rng) -> Op {
        Op::SetData { path: path(rng), data: self.data(rng), version: version(rng) }
    }

    fn create(&self, rng: &mut Rng, user: Option<&str>) -> Op {
        let mut mode = Mode::default();
        match rng.below(10) {
            0..3 if self.ephemeral => mode.ephemeral = true,
            3 => mode.container = true,
            4 if self.ttl => mode.ttl_ms = Some(rng.between(20, 3000) as i64),
            _ => {}
        }
        mode.sequential = !mode.container && rng.percent(25);
        let mut path = path(rng);
        if mode.sequential && path != "/" && rng.one_in(4) {
            path.push_str("/s-");
        }
        let with_stat = mode.container || mode.ttl_ms.is_some() || rng.percent(50);
        Op::Create { path, data: self.data(rng), acl: self.list(rng, user), mode, with_stat }
    }

    fn data(&self, rng: &mut Rng) -> Option<Vec<u8>> {
        let size = if rng.one_in(4) { rng.below(self.data_max + 1) } else { rng.below(6) };
        (!rng.one_in(16)).then(|| (0..size).map(|_| rng.next_u64() as u8).collect())
    }

    fn list(&self, rng: &mut Rng, user: Option<&str>) -> Vec<Acl> {
        if !self.acl || rng.percent(70) {
            return Acl::open();
        }
        let entry = |perms: i32, scheme: &str, id: &str| Acl {
            perms,
            scheme: scheme.into(),
            id: id.into(),
        };
        let rights = if rng.one_in(2) { perms::ALL } else { rng.between(1, 31) as i32 };
        match rng.below(4) {
            0 => vec![entry(rights, "world", "anyone")],
            1 => vec![entry(rights, "auth", ""), entry(rights, "auth", "")],
            2 => vec![entry(perms::READ, "world", "anyone"), entry(rights, "auth", "")],
            _ => vec![
                entry(rights, "digest", user.unwrap_or("nobody:x")),
                entry(perms::ALL, "world", "anyone"),
            ],
        }
    }

    fn read(&self, rng: &mut Rng) -> Op {
        let watch = self.watches && rng.percent(50);
        let path = path(rng);
        match rng.below(100) {
            0..15 => Op::Exists { path, watch },
            15..45 => Op::GetData { path, watch },
            45..55 => Op::GetChildren { path, watch, with_stat: false },
            55..70 => Op::GetChildren { path, watch, with_stat: true },
            70..74 => Op::GetAcl { path },
            74..77 => Op::CountDescendants { path },
            77..80 => Op::GetEphemerals { prefix: if rng.one_in(2) { "/".into() } else { path } },
            80..84 => Op::MultiRead(vec![
                Op::GetData { path, watch: false },
                Op::GetChildren { path: self::path(rng), watch: false, with_stat: false },
            ]),
            84..90 => Op::Sync { path },
            90..95 if self.watches => {
                Op::AddWatch { path: short_path(rng), recursive: rng.one_in(2) }
            }
            95..98 if self.watches => Op::RemoveWatches { path, of: rng.between(1, 5) as i32 },
            _ => Op::CheckWatches { path, of: rng.between(1, 5) as i32 },
        }
    }
}

/// Watches that a client sets again after it has come back.
pub(crate) fn set_watches(rng: &mut Rng, relative: i64) -> WatchLists {
    let mut some = |max: u64| (0..rng.below(max)).map(|_| path(rng)).collect::<Vec<_>>();
    WatchLists {
        relative,
        data: some(4),
        exist: some(4),
        child: some(4),
        persistent: some(2),
        recursive: some(2),
    }
}

/// Creates of many nodes in one multi: `/bulk<n>` and children.
pub(crate) fn bulk(number: u64) -> Op {
    let create = |path: String| Op::Create {
        path,
        data: Some(vec![number as u8; 20]),
        acl: Acl::open(),
        mode: Mode::default(),
        with_stat: false,
    };
    let top = format!("/bulk{number}");
    let children = (0..120).map(|i| create(format!("{top}/{i}")));
    Op::Multi(std::iter::once(create(top.clone())).chain(children).collect())
}

fn version(rng: &mut Rng) -> i32 {
    if rng.percent(75) { -1 } else { rng.below(4) as i32 }
}

fn short_path(rng: &mut Rng) -> String {
    if rng.one_in(6) { "/".into() } else { format!("/{}", rng.pick(&["a", "b", "c"])) }
}

fn path(rng: &mut Rng) -> String {
    let mut path = short_path(rng);
    if path == "/" {
        return path;
    }
    for _ in 0..*rng.pick(&[0, 0, 0, 1, 1, 1, 2]) {
        path.push('/');
        let names: [&str; 5] = ["x", "y", "z", "s-0000000000", "s-0000000001"];
        path.push_str(names[rng.below(5) as usize]);
    }
    path
}
