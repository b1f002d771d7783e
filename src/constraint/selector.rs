//! Every label of the node selector must be on the node with the same value.

use super::Rejection;
use crate::model::{Node, Placement};

pub(super) fn admits<'a>(placement: &'a Placement, node: &'a Node) -> Result<(), Rejection<'a>> {
    for (key, wanted) in &placement.node_selector {
        let found = node.labels.get(key);
        if found != Some(wanted) {
            return Err(Rejection::NodeSelector {
                key,
                wanted,
                found: found.map(String::as_str),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::*;
    use super::*;

    #[test]
    fn all_labels_must_be_there_with_equal_values() {
        let placement = anywhere().selecting("disk", "ssd").selecting("zone", "");
        for (node, found) in [
            (
                a_node().labelled("disk", "ssd").labelled("zone", ""),
                Ok(()),
            ),
            (
                a_node().labelled("disk", "SSD").labelled("zone", ""),
                Err(("disk", Some("SSD"))),
            ),
            (a_node().labelled("disk", "ssd"), Err(("zone", None))),
            (a_node(), Err(("disk", None))),
        ] {
            let wanted = |key| if key == "disk" { "ssd" } else { "" };
            let expected = found.map_err(|(key, found)| Rejection::NodeSelector {
                key,
                wanted: wanted(key),
                found,
            });
            assert_eq!(admits(&placement, &node), expected);
        }
    }

    #[test]
    fn an_empty_selector_asks_nothing() {
        assert_eq!(admits(&anywhere(), &a_node()), Ok(()));
    }
}
