//! Follows what the indicators service states.

use anyhow::Context;
use chassis::{
    Base, Directory,
    events::{Consumer, Event},
    mesh::MeshChannel,
};
use proto::{
    events::v1::{SubscribeRequest, event_feed_service_client::EventFeedServiceClient},
    indicators::v1::{
        self as pb, indicator_service_client::IndicatorServiceClient,
        observation_service_client::ObservationServiceClient,
        target_service_client::TargetServiceClient,
    },
};
use sqlx::PgConnection;

use crate::copy::{forget, keep_indicators, keep_observations, keep_targets};

/// The service that is followed.
pub const SOURCE: &str = "indicators";

/// Digests indicators, targets and figures.
pub struct Follower {
    /// Where the indicators service is.
    channel: MeshChannel,
    /// Which units came from which.
    directory: Directory,
}

impl Follower {
    /// Follows with the channels of a running service.
    #[must_use]
    pub fn new(base: &Base) -> Self {
        Self {
            channel: base.mesh.channel(SOURCE),
            directory: base.directory.clone(),
        }
    }
}

impl Consumer for Follower {
    const NAME: &'static str = "indicators";

    fn source(&self) -> &str {
        SOURCE
    }

    fn types(&self) -> &[&str] {
        &[
            "civicmesh.indicators.v1.IndicatorChanged",
            "civicmesh.indicators.v1.TargetSet",
            "civicmesh.indicators.v1.ObservationRecorded",
        ]
    }

    async fn handle(&self, tx: &mut PgConnection, event: &Event) -> anyhow::Result<()> {
        if event.is::<pb::ObservationRecorded>() {
            let message: pb::ObservationRecorded = event.decode()?;
            keep_observations(tx, &self.directory, message.observation.as_slice()).await
        } else if event.is::<pb::TargetSet>() {
            let message: pb::TargetSet = event.decode()?;
            keep_targets(tx, &self.directory, message.target.as_slice()).await
        } else {
            let message: pb::IndicatorChanged = event.decode()?;
            keep_indicators(tx, &self.directory, message.indicator.as_slice()).await
        }
    }

    /// Reads all that is there, in case that the feed no longer holds what stated it, or that the other service was put
    /// back to an earlier state; then follows from the place where the feed was before. What comes twice changes nothing.
    async fn reset(&self, tx: &mut PgConnection) -> anyhow::Result<String> {
        let mut feed = EventFeedServiceClient::new(self.channel.clone());
        let request = SubscribeRequest {
            latest: true,
            ..Default::default()
        };
        let mut stream = feed.subscribe(request).await?.into_inner();
        let here = stream.message().await?.context("the feed ended")?;
        forget(tx, &self.directory).await?;
        self.read_indicators(tx).await?;
        self.read_targets(tx).await?;
        self.read_observations(tx).await?;
        Ok(here.cursor)
    }
}

impl Follower {
    async fn read_indicators(&self, tx: &mut PgConnection) -> anyhow::Result<()> {
        let mut client = IndicatorServiceClient::new(self.channel.clone());
        let mut request = pb::ListIndicatorsRequest {
            page_size: 200,
            ..Default::default()
        };
        loop {
            let page = client.list_indicators(request.clone()).await?.into_inner();
            keep_indicators(tx, &self.directory, &page.indicators).await?;
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return Ok(());
            }
        }
    }

    async fn read_targets(&self, tx: &mut PgConnection) -> anyhow::Result<()> {
        let mut client = TargetServiceClient::new(self.channel.clone());
        let mut request = pb::ListTargetsRequest {
            page_size: 2000,
            ..Default::default()
        };
        loop {
            let page = client.list_targets(request.clone()).await?.into_inner();
            keep_targets(tx, &self.directory, &page.targets).await?;
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return Ok(());
            }
        }
    }

    async fn read_observations(&self, tx: &mut PgConnection) -> anyhow::Result<()> {
        let mut client = ObservationServiceClient::new(self.channel.clone());
        let mut request = pb::ListObservationsRequest {
            every_version: true,
            page_size: 5000,
            ..Default::default()
        };
        loop {
            let page = client
                .list_observations(request.clone())
                .await?
                .into_inner();
            keep_observations(tx, &self.directory, &page.observations).await?;
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return Ok(());
            }
        }
    }
}
