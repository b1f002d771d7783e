//! The nodes while branch and bound plans on them.

use crate::model::Millis;
use crate::solver::instance::profile::Profile;

use super::jobs::{Class, Jobs};

/// Pods on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pick {
    pub class: usize,
    /// Index in the class; the first untouched one is the number of touched ones.
    pub node: usize,
    pub pods: u32,
}

/// In each class the touched nodes come first; all others are like the base.
pub(super) struct Nodes<'j> {
    classes: &'j [Class],
    touched: Vec<Vec<Profile>>,
    /// What each occupation changed: where, and how it was.
    trail: Vec<(usize, usize, Profile)>,
    spare: Vec<Profile>,
}

impl<'j> Nodes<'j> {
    pub fn new(jobs: &'j Jobs) -> Self {
        Self {
            classes: &jobs.classes,
            touched: jobs.classes.iter().map(|_| Vec::new()).collect(),
            trail: Vec::new(),
            spare: Vec::new(),
        }
    }

    pub fn touched(&self, class: usize) -> &[Profile] {
        &self.touched[class]
    }

    pub fn untouched(&self, class: usize) -> usize {
        self.classes[class].size - self.touched[class].len()
    }

    pub fn profile(&self, class: usize, node: usize) -> &Profile {
        self.touched[class]
            .get(node)
            .unwrap_or(&self.classes[class].base)
    }

    /// For each touched node and the first untouched one the first node that is the same from `time` on.
    pub fn kinds(&self, class: usize, time: Millis, kinds: &mut Vec<usize>) {
        kinds.clear();
        let nodes = self.touched[class].len() + usize::from(self.untouched(class) > 0);
        for node in 0..nodes {
            let own = self.profile(class, node).steps_from(time);
            let is_same =
                |&other: &usize| self.profile(class, other).steps_from(time).eq(own.clone());
            kinds.push(
                (0..node)
                    .filter(|&other| kinds[other] == other)
                    .find(is_same)
                    .unwrap_or(node),
            );
        }
    }

    /// Plans pods on a node.
    pub fn occupy(&mut self, pick: Pick, usage: &[i64], start: Millis, end: Millis) {
        let (class, base) = (
            &mut self.touched[pick.class],
            &self.classes[pick.class].base,
        );
        if class.len() <= pick.node {
            let mut fresh = self.spare.pop().unwrap_or_default();
            fresh.become_copy_of(base);
            class.push(fresh);
        }
        let mut was = self.spare.pop().unwrap_or_default();
        let node = pick.node.min(class.len() - 1);
        was.become_copy_of(&class[node]);
        class[node].occupy(usage, i64::from(pick.pods), start, end);
        self.trail.push((pick.class, node, was));
    }

    /// How much was planned.
    pub fn mark(&self) -> usize {
        self.trail.len()
    }

    /// Takes back what was planned since the mark; `counts` are the touched nodes of each class then.
    pub fn back_to(&mut self, mark: usize, counts: &[usize]) {
        while self.trail.len() > mark {
            let Some((class, node, was)) = self.trail.pop() else {
                break;
            };
            self.spare
                .push(std::mem::replace(&mut self.touched[class][node], was));
        }
        for (class, &count) in self.touched.iter_mut().zip(counts) {
            while class.len() > count {
                self.spare.extend(class.pop());
            }
        }
    }

    /// The number of touched nodes of each class.
    pub fn counts(&self) -> impl Iterator<Item = usize> + '_ {
        self.touched.iter().map(Vec::len)
    }
}
