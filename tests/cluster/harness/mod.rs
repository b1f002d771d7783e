//! A real control plane for tests: etcd, kube-apiserver, kube-controller-manager, kube-scheduler and KWOK as
//! processes on free ports of this machine, started once, shared by all tests of the binary, stopped at the end.
//!
//! A test is an `async fn` that takes a [`Sandbox`] (a fresh namespace, and nodes of its own), returns
//! `anyhow::Result<()>` and stands in the [`tests!`](crate::tests) list of its module.

mod access;
mod admission;
mod audit;
mod books;
mod checker;
mod control_plane;
mod dam;
mod disturbed;
mod fault;
mod flags;
mod gangs;
mod kubelet;
mod listener;
mod node;
mod operator;
mod pod;
mod process;
mod proxy;
mod quantity;
mod sandbox;
mod tools;
mod trial;
mod wait;

pub(crate) use audit::audit;
pub(crate) use books::Tally;
pub(crate) use checker::{Checker, Noted};
pub(crate) use control_plane::{ControlPlane, Purpose};
pub(crate) use dam::{Dam, Gate};
pub(crate) use fault::{Broken, Call, Fault, Faults, Kill, Kind, Mix};
pub(crate) use gangs::BOUND as GANG_BOUND;
pub(crate) use kubelet::FakeKubelet;
pub(crate) use operator::Operator;
pub(crate) use process::{Process, Usage};
pub(crate) use proxy::Proxy;
pub(crate) use sandbox::Sandbox;
pub(crate) use tools::{capture, source};
pub(crate) use trial::{Test, interrupted, run};
pub(crate) use wait::{eventually, seconds};
#[allow(
    unused_imports,
    reason = "for the end-to-end tests, which share this harness"
)]
pub(crate) use {access::KUBELET, control_plane::Setup, process::dying_with_us, tools::Tools};
