//! How far apart nodes stand: levels of the network between them, and what it takes to talk across one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Exact, Fraction, Node};

/// The label with the name of the host.
pub const HOSTNAME: &str = "kubernetes.io/hostname";

/// The alias of a single node, which is always known.
pub const HOST: &str = "host";

/// The network between the nodes of a cluster, as its operator describes it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topology {
    /// Outermost first. None is slower than one outside of it, and only the last may be that of the hosts.
    pub levels: Vec<Level>,
}

/// One level: nodes with different values of a label stand in different domains.
#[derive(Clone, Debug, PartialEq)]
pub struct Level {
    /// What tasks call it.
    pub alias: String,
    /// The label of the nodes.
    pub label: String,
    /// Bytes a second between two domains, above 0; `None` is no limit.
    pub bandwidth: Option<Exact>,
    /// Time that a message takes between two domains, in ms.
    pub latency: Exact,
}

/// What the workers of a gang send each other: an all-reduce in each step.
#[derive(Clone, Debug, PartialEq)]
pub struct Exchange {
    /// Bytes to reduce in a step.
    pub bytes: Exact,
    /// Number of steps.
    pub steps: i64,
}

/// How near each other the workers of a gang stand, by the alias of a level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// It does not matter.
    #[default]
    None,
    /// All in one domain of this level.
    Required(String),
    /// Of places that are equally good, those in one domain of this level.
    Preferred(String),
}

/// What the workers of a task have to do with each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Together {
    /// What they send each other.
    pub exchange: Option<Exchange>,
    /// How near they stand.
    pub wish: Wish,
}

impl Level {
    /// Whether each node is a domain of its own.
    pub fn is_host(&self) -> bool {
        self.label == HOSTNAME
    }

    /// How long a gang of so many workers sends in all where this is the outermost level that it spans, in exact ms:
    /// `steps x (2 (w - 1) / w x bytes / bandwidth + 2 (w - 1) x latency)`, a ring all-reduce (Patarasuk and Yuan
    /// 2009) in each step.
    pub fn communication(&self, workers: u32, exchange: &Exchange) -> Fraction {
        let workers = i64::from(workers.max(1));
        let hops = Fraction::from(2 * (workers - 1));
        let mut step = hops.clone() * Fraction::from(&self.latency);
        if let Some(bandwidth) = &self.bandwidth {
            let bytes = Fraction::from(&exchange.bytes) * Fraction::from(1000);
            step = step + hops / Fraction::from(workers) * bytes / Fraction::from(bandwidth);
        }
        step * Fraction::from(exchange.steps)
    }
}

impl Topology {
    /// The index of the level of this alias; that of a single node is the number of levels.
    pub fn find(&self, alias: &str) -> Option<usize> {
        match self.levels.iter().position(|level| level.alias == alias) {
            Some(level) if self.levels[level].is_host() => Some(self.levels.len()),
            Some(level) => Some(level),
            None => (alias == HOST).then_some(self.levels.len()),
        }
    }

    /// The aliases that tasks may name, outermost first.
    pub fn aliases(&self) -> Vec<&str> {
        let named = self.levels.iter().map(|level| level.alias.as_str());
        let host = named.clone().all(|alias| alias != HOST).then_some(HOST);
        named.chain(host).collect()
    }

    /// Of each level the domain of each node. Domains are numbered by the values of the labels from the outermost
    /// level to this one; nodes without the label are one domain in each domain outside.
    pub fn domains(&self, nodes: &[Arc<Node>]) -> Vec<Vec<usize>> {
        let of_level = |(index, level): (usize, &Level)| -> Vec<usize> {
            if level.is_host() {
                return (0..nodes.len()).collect();
            }
            let paths: Vec<_> = nodes.iter().map(|node| self.path(index, node)).collect();
            let distinct: BTreeSet<_> = paths.iter().collect();
            let number: BTreeMap<_, usize> = distinct.into_iter().zip(0..).collect();
            paths.iter().map(|path| number[path]).collect()
        };
        self.levels.iter().enumerate().map(of_level).collect()
    }

    /// The domain of a node at a level; `None` for a node without the label of that level. What is inside of all levels
    /// is the node itself.
    pub fn domain<'n>(&self, level: usize, node: &'n Node) -> Option<Vec<Option<&'n str>>> {
        if self.above_hosts(level).is_none() {
            return Some(vec![Some(&node.name)]);
        }
        let path = self.path(level, node);
        path.last()?.is_some().then_some(path)
    }

    /// The level of this index, if its domains may hold more than one node.
    pub fn above_hosts(&self, level: usize) -> Option<&Level> {
        self.levels.get(level).filter(|level| !level.is_host())
    }

    /// The values of the labels from the outermost level to this one.
    fn path<'n>(&self, level: usize, node: &'n Node) -> Vec<Option<&'n str>> {
        let labels = self.levels[..=level].iter();
        let value = |level: &Level| node.labels.get(&level.label).map(String::as_str);
        labels.map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::exact;

    fn level(bandwidth: i64, latency: Exact) -> Level {
        Level {
            alias: "rack".into(),
            label: "rack".into(),
            bandwidth: Some(exact(bandwidth)),
            latency,
        }
    }

    #[test]
    fn a_ring_of_four_sends_one_and_a_half_times_the_bytes() {
        // 100 x (2 x 3/4 x 2 GB / 10 GB/s + 6 x 0.5 ms) = 100 x (300 ms + 3 ms)
        let rack = level(10_000_000_000, Exact::new(1.into(), 2.into()));
        let exchange = Exchange {
            bytes: exact(2_000_000_000),
            steps: 100,
        };
        assert_eq!(
            rack.communication(4, &exchange),
            Fraction::from(100 * 300 + 100 * 3)
        );
        assert_eq!(rack.communication(1, &exchange), Fraction::from(0));
        // 100 x (2 x 2/3 x 2 / 10 s + 4 x 0.5 ms) is no whole number of ms
        let third = Fraction::new(100 * 800, 3) + Fraction::from(200);
        assert_eq!(rack.communication(3, &exchange), third);
    }

    #[test]
    fn a_level_without_a_limit_only_has_its_latency() {
        let far = Level {
            bandwidth: None,
            ..level(1, exact(7))
        };
        let exchange = Exchange {
            bytes: exact(i64::MAX),
            steps: 3,
        };
        assert_eq!(far.communication(2, &exchange), Fraction::from(3 * 2 * 7));
    }
}
