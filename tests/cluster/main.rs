//! Tests of the operator against a real control plane; see `harness` for how it is started.
//!
//! `cargo test --test cluster` runs them, `cargo test --test cluster -- serve` keeps a control plane for a person,
//! and `cargo test --release --test cluster -- bench` measures.

mod batch;
mod batch_tests;
mod bench;
mod chart_tests;
mod crash_tests;
mod deadline_tests;
mod delegate_tests;
mod example_tests;
mod fault_tests;
mod fence_tests;
mod flavor_tests;
mod gang_fault_tests;
mod gang_tests;
mod harness;
mod harness_tests;
mod kubelet_tests;
mod lane;
mod late_tests;
mod pipeline_tests;
mod planted_tests;
mod refusal_tests;
mod returned_tests;
mod scenario;
mod serve;
mod share_tests;
mod sharing_tests;
mod topology_tests;
mod worker;

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    match std::env::args().nth(1).as_deref() {
        Some("serve") => return serve::run(),
        Some("worker") => return worker::run(),
        // The name of the command takes the place of that of the program.
        Some("bench") => return bench::run(std::env::args().skip(1)),
        _ => {}
    }
    let tests = [
        batch_tests::TESTS,
        bench::TESTS,
        chart_tests::TESTS,
        crash_tests::TESTS,
        deadline_tests::TESTS,
        delegate_tests::TESTS,
        example_tests::TESTS,
        fault_tests::TESTS,
        fence_tests::TESTS,
        flavor_tests::TESTS,
        gang_fault_tests::TESTS,
        gang_tests::TESTS,
        harness_tests::TESTS,
        kubelet_tests::TESTS,
        late_tests::TESTS,
        pipeline_tests::TESTS,
        planted_tests::TESTS,
        refusal_tests::TESTS,
        returned_tests::TESTS,
        share_tests::TESTS,
        sharing_tests::TESTS,
        topology_tests::TESTS,
    ]
    .concat();
    harness::run(&tests)
}
