//! Schedules.

use chiffon_common::{
    ScheduleId,
    api::{
        NextTimes, NextTry, Page, RequestAccepted, ScheduleEdit, SchedulePlan, ScheduleView,
        StandingEdit,
    },
};
use reqwest::{Method, header};

use super::{Client, IDEMPOTENCY_KEY, Versioned};
use crate::failure::Failure;

fn address(id: ScheduleId) -> String {
    format!("/api/v1/schedules/{id}")
}

impl Client {
    /// `GET /api/v1/schedules`.
    pub async fn schedules(
        &self,
        limit: u32,
        cursor: Option<&str>,
        state: Option<&str>,
    ) -> Result<Page<ScheduleView>, Failure> {
        let mut query = vec![("limit", limit.to_string())];
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        query.extend(state.map(|state| ("state", state.to_owned())));
        self.get("/api/v1/schedules", &query).await
    }

    /// `POST /api/v1/schedules`.
    pub async fn add_schedule(
        &self,
        edit: &ScheduleEdit,
        key: Option<&str>,
    ) -> Result<ScheduleView, Failure> {
        let mut call = self.call(Method::POST, "/api/v1/schedules").json(edit);
        if let Some(key) = key {
            call = call.header(IDEMPOTENCY_KEY, key);
        }
        self.read(call).await
    }

    /// `GET /api/v1/schedules/{id}`.
    pub async fn schedule(&self, id: ScheduleId) -> Result<Versioned<ScheduleView>, Failure> {
        self.read_versioned(self.call(Method::GET, &address(id)))
            .await
    }

    /// `PUT /api/v1/schedules/{id}`, from the version that was read.
    pub async fn put_schedule(
        &self,
        was: &Versioned<ScheduleView>,
        edit: &ScheduleEdit,
    ) -> Result<ScheduleView, Failure> {
        let call = self.call(Method::PUT, &address(was.value.schedule_id));
        let call = call.header(header::IF_MATCH, &was.tag).json(edit);
        self.read(call).await
    }

    /// `DELETE /api/v1/schedules/{id}`, from the version that was read.
    pub async fn remove_schedule(&self, was: &Versioned<ScheduleView>) -> Result<(), Failure> {
        let call = self.call(Method::DELETE, &address(was.value.schedule_id));
        let call = call.header(header::IF_MATCH, &was.tag);
        self.send(call).await.map(drop)
    }

    /// `POST /api/v1/schedules/{id}/pause` and `.../resume`.
    pub async fn toggle_schedule(
        &self,
        id: ScheduleId,
        word: &'static str,
    ) -> Result<ScheduleView, Failure> {
        self.post_nothing(&format!("{}/{word}", address(id))).await
    }

    /// `POST /api/v1/schedules/{id}/run`.
    pub async fn run_schedule(&self, id: ScheduleId) -> Result<RequestAccepted, Failure> {
        self.post_nothing(&format!("{}/run", address(id))).await
    }

    /// `GET /api/v1/schedules/{id}/next`.
    pub async fn next_of_schedule(&self, id: ScheduleId, count: u32) -> Result<NextTimes, Failure> {
        let path = format!("{}/next", address(id));
        self.get(&path, &[("count", count.to_string())]).await
    }

    /// `POST /api/v1/schedules/next`.
    pub async fn try_schedule(&self, tried: &NextTry) -> Result<NextTimes, Failure> {
        self.post("/api/v1/schedules/next", tried).await
    }

    /// `GET /api/v1/schedules/{id}/plan`.
    pub async fn plan_of_schedule(&self, id: ScheduleId) -> Result<SchedulePlan, Failure> {
        self.get(&format!("{}/plan", address(id)), &[]).await
    }

    /// `PUT /api/v1/schedules/{id}/standing`.
    pub async fn approve_schedule(
        &self,
        id: ScheduleId,
        edit: &StandingEdit,
    ) -> Result<ScheduleView, Failure> {
        let path = format!("{}/standing", address(id));
        self.read(self.call(Method::PUT, &path).json(edit)).await
    }

    /// `DELETE /api/v1/schedules/{id}/standing`.
    pub async fn withdraw_schedule(&self, id: ScheduleId) -> Result<ScheduleView, Failure> {
        let path = format!("{}/standing", address(id));
        self.read(self.call(Method::DELETE, &path)).await
    }
}
