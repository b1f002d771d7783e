//! What goes wrong between an operator and the API server: at one chosen write, or by seed.

use std::time::{Duration, Instant};

use axum::http::{Method, Uri};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A request, as far as faults care.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: String,
    /// With the query, but for a watch without the version that it starts from.
    pub(crate) path: String,
    pub(crate) resource: String,
    pub(crate) kind: Kind,
    /// The number of this write, from 1; 0 for what is not counted.
    pub(crate) number: usize,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    List,
    Watch,
    Write,
    /// Reads and writes of the lease.
    Lease,
}

impl Call {
    /// Reads a request.
    pub(crate) fn of(method: &Method, uri: &Uri) -> Self {
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        // /api/v1/... and /apis/group/version/..., each with or without namespaces/name in front of the resource.
        let behind = if parts.first() == Some(&"api") { 2 } else { 3 };
        let mut rest = parts.get(behind..).unwrap_or_default();
        if let ["namespaces", _, inner @ ..] = rest
            && !inner.is_empty()
        {
            rest = inner;
        }
        let resource = rest.first().copied().unwrap_or_default().to_owned();
        let is_read = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        let kind = match (resource.as_str(), is_read) {
            ("leases", _) => Kind::Lease,
            (_, false) => Kind::Write,
            _ if query.contains("watch=true") => Kind::Watch,
            _ if rest.len() == 1 => Kind::List,
            _ => Kind::Get,
        };
        Self {
            method: method.to_string(),
            path: uri
                .path_and_query()
                .map(ToString::to_string)
                .unwrap_or_default(),
            resource,
            kind,
            number: 0,
        }
    }

    /// Leases are renewed by the clock, so their writes have no number.
    pub(crate) fn is_counted(&self) -> bool {
        self.kind == Kind::Write
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// It passes.
    None,
    /// The operator is killed; the request does not arrive.
    KillBefore,
    /// The operator is killed; the request was carried out.
    KillAfter,
    /// It is carried out, then the connection is reset.
    LoseReply,
    /// The connection is reset at once.
    Reset,
    /// It is answered with this code, and perhaps the seconds of a `Retry-After`.
    Refuse(u16, Option<u64>),
    /// It passes after a while.
    Delay(Duration),
    /// A list is answered as it once was, and the watch after it tells nothing for a while.
    Old(Duration),
    /// A watch passes, with something wrong with its stream.
    Watch(Broken),
    /// It is never answered.
    Silence,
}

/// What is wrong with a watch, from some time after its start on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Broken {
    /// It ends in good order.
    Ends(Duration),
    /// Its connection is reset.
    Drops(Duration),
    /// It ends with 410 Gone.
    Expires(Duration),
    /// It tells nothing for a while, then everything.
    Freezes { after: Duration, lasting: Duration },
    /// Each piece comes late, and later and later, for a while.
    Late(Duration),
}

/// How long a watch is late.
pub(crate) const LATE_FOR: Duration = Duration::from_secs(2);

impl Broken {
    /// When it begins, after the start of the watch.
    pub(crate) fn after(self) -> Duration {
        match self {
            Self::Ends(after) | Self::Drops(after) | Self::Expires(after) => after,
            Self::Freezes { after, .. } => after,
            Self::Late(_) => Duration::ZERO,
        }
    }
}

impl Fault {
    /// Its name in a tally; `None` where nothing goes wrong.
    pub(crate) fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::None | Self::Silence => return None,
            Self::KillBefore => "killed before a write",
            Self::KillAfter => "killed after a write",
            Self::LoseReply => "reply lost",
            Self::Reset => "connection reset",
            Self::Refuse(409, _) => "409",
            Self::Refuse(410, _) => "410",
            Self::Refuse(429, _) => "429",
            Self::Refuse(500, _) => "500",
            Self::Refuse(503, _) => "503",
            Self::Refuse(504, _) => "504",
            Self::Refuse(..) => "another code",
            Self::Delay(_) => "delayed",
            Self::Old(_) => "old view",
            Self::Watch(Broken::Ends(_)) => "watch ended",
            Self::Watch(Broken::Drops(_)) => "watch dropped",
            Self::Watch(Broken::Expires(_)) => "watch expired",
            Self::Watch(Broken::Freezes { .. }) => "watch frozen",
            Self::Watch(Broken::Late(_)) => "watch late",
        })
    }

    /// For how long it goes on.
    pub(crate) fn lasting(self) -> Duration {
        match self {
            Self::Delay(by) | Self::Old(by) => by,
            Self::Refuse(_, Some(wait)) => Duration::from_secs(wait),
            Self::Watch(Broken::Freezes { after, lasting }) => after + lasting,
            Self::Watch(Broken::Late(by)) => LATE_FOR + by,
            Self::Watch(broken) => broken.after(),
            _ => Duration::ZERO,
        }
    }
}

/// Decides what goes wrong.
pub(crate) trait Faults: Send {
    /// What becomes of this request.
    fn strike(&mut self, call: &Call) -> Fault;
}

/// Nothing goes wrong.
impl Faults for () {
    fn strike(&mut self, _: &Call) -> Fault {
        Fault::None
    }
}

/// On which side of a write the operator is killed; writes count from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kill {
    /// The write does not arrive.
    Before(usize),
    /// The write arrives, its answer does not.
    After(usize),
}

impl Faults for Kill {
    fn strike(&mut self, call: &Call) -> Fault {
        match *self {
            Self::Before(number) if call.number == number => Fault::KillBefore,
            Self::After(number) if call.number == number => Fault::KillAfter,
            _ => Fault::None,
        }
    }
}

/// A mix of faults by seed: which ones, how often, and when the last one is over.
pub(crate) struct Mix {
    dice: ChaCha8Rng,
    /// How likely each fault of a write is, of a read, and of a watch.
    writes: f64,
    reads: f64,
    watches: f64,
    kills: f64,
    leases: f64,
    end: Instant,
    left: usize,
}

/// A mix goes on for so long at most.
const LONGEST: Duration = Duration::from_secs(4);
/// It has at most so many faults.
const MOST: u32 = 12;

impl Mix {
    /// The mix of this seed, from now on.
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = ChaCha8Rng::seed_from_u64(seed);
        let mut often = |most: f64| match dice.random_range(0..3) {
            0 => 0.0,
            _ => most * dice.random::<f64>(),
        };
        let (writes, reads, watches) = (often(0.5), often(0.5), often(1.0));
        let (kills, leases) = (often(0.15), often(0.2));
        let left = dice.random_range(1..=MOST) as usize;
        Self {
            dice,
            writes,
            reads,
            watches,
            kills,
            leases,
            end: Instant::now() + LONGEST,
            left,
        }
    }

    fn happens(&mut self, probability: f64) -> bool {
        self.dice.random::<f64>() < probability
    }

    fn millis(&mut self, most: u64) -> Duration {
        Duration::from_millis(self.dice.random_range(0..=most))
    }

    fn write(&mut self) -> Fault {
        match self.dice.random_range(0..8) {
            0 | 1 => Fault::LoseReply,
            2 => Fault::Refuse(409, None),
            3 => Fault::Delay(self.millis(1500)),
            _ => self.any(),
        }
    }

    /// What can happen to every request.
    fn any(&mut self) -> Fault {
        let wait = self.dice.random_range(1..=2);
        match self.dice.random_range(0..6) {
            0 => Fault::Reset,
            1 => Fault::Refuse(429, Some(wait)),
            2 => Fault::Refuse(500, None),
            3 => Fault::Refuse(503, None),
            4 => Fault::Refuse(504, None),
            _ => Fault::Delay(self.millis(500)),
        }
    }

    fn watch(&mut self) -> Fault {
        let after = self.millis(1500);
        match self.dice.random_range(0..8) {
            0 => Fault::Refuse(410, None),
            1 => Fault::Watch(Broken::Ends(after)),
            2 => Fault::Watch(Broken::Drops(after)),
            3 => Fault::Watch(Broken::Expires(after)),
            4 => Fault::Watch(Broken::Late(self.millis(300))),
            5 | 6 => {
                let lasting = self.millis(2500);
                Fault::Watch(Broken::Freezes { after, lasting })
            }
            _ => self.any(),
        }
    }

    fn draw(&mut self, call: &Call) -> Fault {
        match call.kind {
            Kind::Write if self.happens(self.kills) => match self.happens(0.5) {
                true => Fault::KillBefore,
                false => Fault::KillAfter,
            },
            Kind::Write if self.happens(self.writes) => self.write(),
            Kind::Watch if self.happens(self.watches) => self.watch(),
            Kind::List if self.happens(self.reads) => match self.happens(0.4) {
                true => Fault::Old(self.millis(2000)),
                false => self.any(),
            },
            Kind::Get if self.happens(self.reads) => self.any(),
            Kind::Lease if self.happens(self.leases) => match self.happens(0.3) {
                true => Fault::LoseReply,
                false => self.any(),
            },
            _ => Fault::None,
        }
    }
}

impl Faults for Mix {
    fn strike(&mut self, call: &Call) -> Fault {
        if self.left == 0 || Instant::now() >= self.end {
            return Fault::None;
        }
        let fault = self.draw(call);
        self.left -= usize::from(fault.name().is_some());
        fault
    }
}
