//! The metrics of this process.

use std::time::Duration;

use anyhow::Result;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tokio::time::sleep;

/// Where the histograms of durations are divided, in seconds.
const SECONDS: [f64; 12] =
    [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0];

/// How often what was measured is summed up, so that it takes no memory.
const UPKEEP: Duration = Duration::from_secs(5);

/// Records from here on; the function writes what was recorded.
pub fn record() -> Result<impl Fn() -> String + Send + Sync> {
    let durations = Matcher::Suffix("_duration_seconds".into());
    let builder = PrometheusBuilder::new().set_buckets_for_metric(durations, &SECONDS)?;
    let recorded = builder.install_recorder()?;
    let summed_up = recorded.clone();
    tokio::spawn(async move {
        loop {
            sleep(UPKEEP).await;
            summed_up.run_upkeep();
        }
    });
    Ok(move || recorded.render())
}
