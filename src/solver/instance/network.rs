//! How far apart the nodes of a gang are.

use crate::model::Near;

use super::Instance;

impl Instance<'_> {
    /// The domain of a class at each level above the hosts.
    pub fn domains(&self, class: usize) -> &[usize] {
        &self.domains[class]
    }

    /// The outermost level that so many nodes of these classes span.
    pub fn spanned(&self, nodes: usize, mut classes: impl Iterator<Item = usize> + Clone) -> usize {
        let first = classes.next().unwrap_or(0);
        if nodes < 2 {
            return self.problem.levels.len();
        }
        let is_spanned = |level: &usize| {
            let own = self.domains[first][*level];
            classes
                .clone()
                .any(|class| self.domains[class][*level] != own)
        };
        (0..self.above).find(is_spanned).unwrap_or(self.above)
    }

    /// Whether all pods must stand on one node.
    pub fn is_one_node(&self, near: Near) -> bool {
        matches!(near, Near::Within(level) if level >= self.problem.levels.len())
    }

    /// Whether pods may stand on both nodes where they must stand so near each other.
    pub fn are_near(&self, near: Near, one: usize, other: usize) -> bool {
        match near {
            Near::Anywhere | Near::Rather(_) => true,
            Near::Within(level) => match self.problem.levels.get(level) {
                Some(tier) => tier.domains[one] == tier.domains[other],
                None => one == other,
            },
        }
    }
}
