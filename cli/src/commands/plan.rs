//! `chiffon plan show`. Trying a sentence is left to `try_plan`.

use chiffon_common::{Digest, ErrorCode, Plan, RequestId, api::RequestView};

use super::{Context, read, sealed, try_plan::try_plan};
use crate::{
    args::{self, ShowPlan},
    client::Client,
    exit::Exit,
    failure::Failure,
    output,
    render::{self, Extent},
};

/// How often a plan is read that is being replaced.
const TRIES: u32 = 3;

pub async fn plan(context: &mut Context<'_>, args: &args::Plan) -> Result<Exit, Failure> {
    let args = match args {
        args::Plan::Show(args) => args,
        args::Plan::Try(args) => return try_plan(context, args).await,
    };
    match args.bytes {
        true => bytes(context, args).await,
        false => show(context, args).await,
    }
}

async fn show(context: &mut Context<'_>, args: &ShowPlan) -> Result<Exit, Failure> {
    let found = read(context, async |client| {
        let id = client.resolve(&args.request).await?;
        // Its check runs may end, and replace it, between two questions.
        let mut found = whole(&client, id).await;
        for _ in 1..TRIES {
            match &found {
                Err(failure) if failure.code == Some(ErrorCode::PlanNotAsSealed) => {
                    found = whole(&client, id).await;
                }
                _ => break,
            }
        }
        found
    });
    let (plan, request) = found.await?;
    let paint = context.terminal.out;
    let extent = match args.all {
        true => Extent::All,
        false => Extent::Screen,
    };
    output::one(context.terminal, &plan, || {
        render::plan(paint, &request, extent).unwrap_or_default()
    });
    Ok(Exit::Ok)
}

/// The plan with its request, held against its bytes.
async fn whole(client: &Client, id: RequestId) -> Result<(Plan, RequestView), Failure> {
    // First of all: where there is none, this says so.
    let plan: Plan = client.plan(id).await?;
    // A person is shown what the check runs said, too.
    let request: RequestView = client.request(id).await?;
    let digest = request
        .plan
        .as_ref()
        .map_or(plan.digest, |plan| plan.digest);
    match bytes_of(client, id, digest).await {
        Err(failure) if failure.code == Some(ErrorCode::BytesHoldSecret) => {}
        other => drop(other?),
    }
    Ok((plan, request))
}

async fn bytes(context: &mut Context<'_>, args: &ShowPlan) -> Result<Exit, Failure> {
    let found = read(context, async |client| {
        let id = client.resolve(&args.request).await?;
        let plan: Plan = client.plan(id).await?;
        bytes_of(&client, id, plan.digest).await
    });
    let bytes = found.await?;
    context.terminal.bytes(&bytes);
    Ok(Exit::Ok)
}

/// The bytes of the plan, held against its digest.
async fn bytes_of(client: &Client, id: RequestId, digest: Digest) -> Result<Vec<u8>, Failure> {
    sealed::held(client.plan_bytes(id).await?, digest)
}
