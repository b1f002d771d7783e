//! A pod that already names its node runs there or nowhere.

use super::Rejection;
use crate::model::{Node, Placement};

pub(super) fn admits<'a>(placement: &'a Placement, node: &'a Node) -> Result<(), Rejection<'a>> {
    match &placement.node {
        Some(name) if *name != node.name => Err(Rejection::NodeName(name)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::*;
    use super::*;

    #[test]
    fn only_the_node_of_that_name_will_do() {
        let mut placement = anywhere();
        assert_eq!(admits(&placement, &a_node()), Ok(()));
        placement.node = Some("n1".into());
        assert_eq!(admits(&placement, &a_node()), Ok(()));
        placement.node = Some("n2".into());
        assert_eq!(
            admits(&placement, &a_node()),
            Err(Rejection::NodeName("n2"))
        );
    }
}
