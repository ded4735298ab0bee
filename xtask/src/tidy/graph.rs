//! Directed graphs: their cycles, and their longest path.

use std::collections::{BTreeMap, BTreeSet};

/// Each node with those that it points to.
pub(super) type Graph = BTreeMap<String, BTreeSet<String>>;

/// The sets of nodes that all reach each other, largest first; single nodes are none.
pub(super) fn cycles(graph: &Graph) -> Vec<BTreeSet<String>> {
    let reach: BTreeMap<&String, BTreeSet<&String>> =
        graph.keys().map(|node| (node, reached(graph, node))).collect();
    let mut cycles = BTreeSet::new();
    for (node, reached) in &reach {
        let back = |other: &&&String| reach.get(**other).is_some_and(|reach| reach.contains(*node));
        let cycle: BTreeSet<String> = reached.iter().filter(back).map(|other| (*other).clone()).collect();
        if cycle.len() > 1 {
            cycles.insert(cycle);
        }
    }
    let mut cycles: Vec<_> = cycles.into_iter().collect();
    cycles.sort_by_key(|cycle| std::cmp::Reverse(cycle.len()));
    cycles
}

/// The number of nodes on the longest path, a cycle counted as one.
pub(super) fn depth(graph: &Graph) -> usize {
    let cycles = cycles(graph);
    let name = |node: &String| {
        let cycle = cycles.iter().find(|cycle| cycle.contains(node));
        cycle.and_then(BTreeSet::first).unwrap_or(node).clone()
    };
    let mut merged = Graph::new();
    for (from, to) in graph {
        let others = to.iter().map(&name).filter(|to| *to != name(from));
        merged.entry(name(from)).or_default().extend(others);
    }
    let mut known = BTreeMap::new();
    merged.keys().map(|node| height(&merged, node, &mut known)).max().unwrap_or(0)
}

fn height(graph: &Graph, node: &str, known: &mut BTreeMap<String, usize>) -> usize {
    if let Some(height) = known.get(node) {
        return *height;
    }
    let below = graph.get(node).into_iter().flatten().map(|next| height(graph, next, known)).max();
    let height = below.unwrap_or(0) + 1;
    known.insert(node.to_owned(), height);
    height
}

/// All nodes that are reached in at least one step.
fn reached<'a>(graph: &'a Graph, from: &String) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut waiting: Vec<&String> = graph[from].iter().collect();
    while let Some(node) = waiting.pop() {
        if reached.insert(node) {
            waiting.extend(graph.get(node).into_iter().flatten());
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
            graph.entry((*to).to_owned()).or_default();
        }
        graph
    }

    #[test]
    fn a_cycle_is_a_set_of_nodes_that_reach_each_other() {
        let found = cycles(&graph(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("d", "e")]));
        assert_eq!(found, [BTreeSet::from(["b".to_owned(), "c".to_owned()])]);
        assert!(cycles(&graph(&[("a", "b"), ("a", "c"), ("b", "c")])).is_empty());
    }

    #[test]
    fn the_longest_path_counts_a_cycle_once() {
        assert_eq!(depth(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])), 3);
        assert_eq!(depth(&graph(&[("a", "b"), ("b", "c"), ("c", "b"), ("c", "d")])), 3);
        assert_eq!(depth(&Graph::new()), 0);
    }
}
