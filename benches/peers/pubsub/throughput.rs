//! Many messages: in batches without order, and on a hundred ordering keys.

use std::collections::HashMap;
use std::time::Instant;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use scrimmage_protos::google::pubsub::v1 as proto;

use super::client::{Client, message};
use crate::sheet::{Sheet, Step, median, within_limit};
use crate::subject::Subject;
use crate::{Result, Scale};

const PUBLISHED: Step = Step::rate("10,000 messages published in batches of 500");
const STREAMED: Step = Step::rate("10,000 messages streamed and acknowledged");
const ORDERED: Step = Step::rate("5,000 messages on 100 keys streamed in order and acknowledged");

const BATCH: usize = 500;
const BATCHES_AT_ONCE: usize = 4;
const KEYS: usize = 100;

pub async fn measure(client: &Client, subject: &Subject, scale: Scale, sheet: &mut Sheet) {
    let repetitions = scale.of(5, 1);
    let (mut published, mut streamed, mut ordered_rates) = (Vec::new(), Vec::new(), Vec::new());
    let unordered = async {
        for number in 0..=repetitions {
            let (one, another) = batches(client, number, scale.of(10_000, 2_000)).await?;
            // The first is for the peer's compiler.
            if number > 0 {
                published.push(one);
                streamed.push(another);
            }
        }
        Ok(())
    };
    match within_limit(unordered).await {
        Ok(()) => {
            sheet.put(PUBLISHED, subject.name, median(&published));
            sheet.put(STREAMED, subject.name, median(&streamed));
        }
        Err(reason) => sheet.put(PUBLISHED, subject.name, Err(reason)),
    }
    let in_order = async {
        for number in 0..=repetitions {
            let rate = ordered(client, number, scale.of(5_000, 1_000)).await?;
            if number > 0 {
                ordered_rates.push(rate);
            }
        }
        median(&ordered_rates)
    };
    sheet.take(ORDERED, subject.name, in_order).await;
}

/// Messages a second, published and then streamed out of the backlog.
async fn batches(client: &Client, number: usize, count: usize) -> Result<(f64, f64)> {
    let topic = client.topic(&format!("batches-{number}")).await?;
    let subscription = client.subscription(&format!("batches-{number}"), &topic, false, None).await?;
    let requests: Vec<Vec<proto::PubsubMessage>> =
        (0..count / BATCH).map(|_| (0..BATCH).map(|_| message("")).collect()).collect();
    let begun = Instant::now();
    let publish = |messages| client.publish(&topic, messages);
    stream::iter(requests).map(publish).buffer_unordered(BATCHES_AT_ONCE).try_collect::<()>().await?;
    let published = count as f64 / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let mut stream = client.open(&subscription).await?;
    let mut received = 0;
    while received < count {
        received += stream.next().await?.len();
    }
    Ok((published, count as f64 / begun.elapsed().as_secs_f64()))
}

/// Messages a second out of a backlog with ordering keys, each key's in its order.
async fn ordered(client: &Client, number: usize, count: usize) -> Result<f64> {
    let topic = client.topic(&format!("ordered-{number}")).await?;
    let subscription = client.subscription(&format!("ordered-{number}"), &topic, true, None).await?;
    for batch in 0..count / BATCH {
        let messages = (0..BATCH).map(|place| {
            let place = batch * BATCH + place;
            let mut message = message(&format!("key-{}", place % KEYS));
            message.attributes.insert("place".to_owned(), place.to_string());
            message
        });
        client.publish(&topic, messages.collect()).await?;
    }
    let begun = Instant::now();
    let mut stream = client.open(&subscription).await?;
    let mut last: HashMap<String, usize> = HashMap::new();
    let mut received = 0;
    while received < count {
        for message in stream.next().await? {
            let place = message.attributes.get("place").and_then(|place| place.parse().ok());
            let place: usize = place.ok_or("a message lost its attribute")?;
            if last.insert(message.ordering_key, place).is_some_and(|before| before >= place) {
                return Err("messages of one key came out of order".to_owned());
            }
            received += 1;
        }
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}
