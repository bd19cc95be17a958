//! What it costs to wait.

use std::time::{Duration, Instant};

use super::client::Client;
use crate::sheet::Step;
use crate::subject::Subject;
use crate::{Result, Scale};

pub const PROCESSOR: Step = Step { unit: "% of a core", ..Step::time("idle with 60 open streams") };

const STREAMS: usize = 60;
/// Until what opening them caused has died down.
const SETTLE: Duration = Duration::from_secs(3);

/// Processor time of a fresh process while 60 streaming pulls wait and nothing happens.
pub async fn processor(subject: &Subject, scale: Scale) -> Result<f64> {
    let running = subject.start().await?;
    let client = Client::connect(&running.address).await?;
    let topic = client.topic("idle").await?;
    let mut streams = Vec::with_capacity(STREAMS);
    for number in 0..STREAMS {
        let subscription = client.subscription(&format!("idle-{number}"), &topic, false, None).await?;
        // Answers come only with the first message: the call goes on in a task of its own.
        let client = client.clone();
        streams.push(tokio::spawn(async move {
            if let Ok(mut stream) = client.open(&subscription).await {
                let _ = stream.next().await;
            }
        }));
    }
    tokio::time::sleep(SETTLE).await;
    let (before, begun) = (running.program.processor_time(), Instant::now());
    tokio::time::sleep(Duration::from_secs(scale.of(10, 2) as u64)).await;
    let used = running.program.processor_time().saturating_sub(before);
    let share = used.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0;
    for stream in streams {
        stream.abort();
    }
    Ok(share)
}
