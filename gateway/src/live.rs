//! The live hub: tells browsers what changed. One subscription per service, fanned out to all who watch, each cut to
//! what its viewer may read at that moment.

use std::{collections::HashSet, pin::Pin, sync::Arc};

use chassis::{Caller, Directory, parse::known};
use futures::Stream;
use proto::gateway::v1::{
    LiveTopic, WatchRequest, WatchResponse,
    live_service_server::{LiveService, LiveServiceServer},
};
use tonic::{Request, Response, Status};

mod feed;
mod hub;
mod viewer;

pub use feed::{SOURCES, Source, follow};
pub use hub::{Change, Hub};
use viewer::Viewer;

/// `civicmesh.gateway.v1.LiveService`.
#[derive(Clone)]
pub struct Live {
    hub: Arc<Hub>,
    directory: Directory,
}

impl Live {
    /// The service over a hub.
    #[must_use]
    pub fn service(hub: Arc<Hub>, directory: Directory) -> LiveServiceServer<Self> {
        LiveServiceServer::new(Self { hub, directory })
    }
}

#[tonic::async_trait]
impl LiveService for Live {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let caller = Caller::of(&request)?.clone();
        let watch = request.into_inner();
        let topics = watch.topics.iter().map(|topic| known("topics", *topic));
        let topics: HashSet<LiveTopic> = topics.collect::<Result<_, _>>()?;
        let viewer = Viewer::new(
            self.hub.clone(),
            self.directory.clone(),
            caller,
            topics,
            watch.after,
        )?;
        Ok(Response::new(Box::pin(viewer.stream())))
    }
}
