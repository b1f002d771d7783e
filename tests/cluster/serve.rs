//! A control plane with ten simulated nodes and the operator, for a person to try things on.

use std::process::ExitCode;

use anyhow::Result;

use crate::harness::{ControlPlane, Operator, Purpose, interrupted};

/// Starts everything, says how to use it, and ends it on Ctrl-C.
pub(crate) fn run() -> Result<ExitCode> {
    tokio::runtime::Runtime::new()?.block_on(serve())?;
    Ok(ExitCode::SUCCESS)
}

async fn serve() -> Result<()> {
    eprintln!("Starting the control plane ...");
    let cluster = tokio::select! {
        started = ControlPlane::start(Purpose::Tests) => started?,
        interrupted = interrupted() => return interrupted,
    };
    create_nodes(&cluster).await?;
    let mut operator = None;
    if Operator::is_built() {
        operator = Some(Operator::start(&cluster, &cluster.kubeconfig(), &[]).await?);
    }
    print_usage(&cluster, operator.is_some());
    interrupted().await?;
    eprintln!("Stopping.");
    drop(operator);
    cluster.stop(false);
    Ok(())
}

/// Six nodes with CPUs only and four with 8 GPUs each.
async fn create_nodes(cluster: &ControlPlane) -> Result<()> {
    for index in 1..=6 {
        cluster
            .node(&format!("cpu-{index}"))
            .cpu("32")
            .memory("128Gi")
            .create()
            .await?;
    }
    for index in 1..=4 {
        let node = cluster
            .node(&format!("gpu-{index}"))
            .cpu("64")
            .memory("512Gi")
            .gpu(8);
        node.label("nvidia.com/gpu.product", "NVIDIA-H100-80GB-HBM3")
            .create()
            .await?;
    }
    Ok(())
}

fn print_usage(cluster: &ControlPlane, operator: bool) {
    let tools = cluster.program("kubectl");
    let operator = if operator {
        "The operator runs."
    } else {
        "This build of taskbatch has no operator yet."
    };
    println!(
        "\nReady: 10 simulated nodes, 4 of them with 8 GPUs. {operator} Logs: {}",
        cluster.folder().display()
    );
    println!("\n  export KUBECONFIG={}", cluster.kubeconfig().display());
    if let Some(folder) = tools.parent() {
        println!("  export PATH={}:$PATH", folder.display());
    }
    println!("  kubectl get nodes\n\nCtrl-C ends it all.");
}
