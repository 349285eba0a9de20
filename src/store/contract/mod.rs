//! What every database must do: one suite, run for each of them by `suite!`.
//!
//! A test gets a [`Fixture`], which opens one database of its own, and opens it again for tests of what survives.

use std::sync::Arc;

use async_trait::async_trait;

use crate::store::Store;

pub(crate) mod alert;
pub(crate) mod app;
pub(crate) mod audit;
pub(crate) mod clock;
pub(crate) mod connection;
pub(crate) mod credit;
pub(crate) mod dead_span;
pub(crate) mod destination;
pub(crate) mod doctor;
pub(crate) mod incident;
pub(crate) mod job;
pub(crate) mod lease;
pub(crate) mod load_sample;
pub(crate) mod member;
pub(crate) mod notice;
pub(crate) mod outbox;
pub(crate) mod people;
pub(crate) mod probe;
pub(crate) mod push;
pub(crate) mod renewal;
pub(crate) mod request;
pub(crate) mod revocation;
pub(crate) mod samples;
pub(crate) mod sealing;
pub(crate) mod session;
pub(crate) mod survival;
pub(crate) mod team;
pub(crate) mod token;
pub(crate) mod usage;

/// A database of one test.
#[async_trait]
pub(crate) trait Fixture: Send + Sync {
    /// Opens it, with the audit taken up. It was closed before, if it was opened before.
    async fn open(&self) -> Arc<dyn Store>;
}

/// Makes the tests of the suite for the fixtures that `$fixture()` makes.
macro_rules! suite {
    ($fixture:path) => {
        $crate::store::contract::suite! { $fixture;
            credit {
                a_block_is_taken_up_to_the_cap, a_take_is_all_or_nothing, concurrent_takes_never_exceed_the_cap,
                updates_only_lower, updates_make_room_for_takes, a_failed_take_undoes_its_updates,
                charges_end_with_time, keys_stay_open, notes_are_replaced, random_takes_keep_the_books
            }
            lease {
                a_lease_comes_back_as_it_was, an_opening_is_all_or_nothing, an_ended_token_is_not_leased,
                a_bad_lease_hinders_no_other, a_lease_is_closed_once, a_lease_is_extended_while_open,
                leases_lapse, closed_leases_are_pruned, a_repeated_request_gets_the_first_answer,
                a_request_id_is_free_again_after_its_time, leases_are_listed_newest_first
            }
            token {
                a_token_comes_back_as_it_was, duplicates_are_told_one_by_one, a_revoked_token_makes_room,
                a_change_needs_what_was_read, a_revoked_token_stays_so, a_change_writes_everything_or_nothing,
                filters_and_pages, the_networks_of_a_team_are_those_of_its_tokens, all_tokens_come_in_chunks, an_import_goes_on_where_it_stopped
            }
            renewal {
                due_renewals_come_earliest_first, a_renewal_is_hastened_unless_it_is_claimed, a_renewal_is_claimed_once, a_claim_ends_with_its_time,
                new_secrets_end_a_renewal, a_failure_concerns_the_secrets_that_were_shown
            }
            probe { checks_are_scheduled_once_and_come_earliest_first, a_check_is_taken_once_and_noted }
            team {
                teams_are_kept, collectors_are_kept, keys_are_kept, data_keys_are_kept,
                meta_is_set_once_or_replaced
            }
            member { members_are_kept, an_address_has_one_member_of_a_team, a_team_keeps_an_owner, a_member_has_one_invitation }
            session { sessions_are_kept_and_end, sessions_of_operators_are_kept_and_end, a_change_ends_sessions_with_it }
            people { profiles_are_kept, the_profiles_that_tokens_speak_for_are_listed_once, a_leaving_begins_with_its_change_and_goes_on, consents_are_kept_with_their_change }
            app { apps_are_kept, a_budget_is_topped_up_once_for_a_request, a_budget_never_falls_below_nothing,
                an_app_with_tokens_stays }
            sealing {
                a_rotation_changes_all_keys_or_none, secrets_are_sealed_anew_where_they_are_as_they_were,
                data_keys_go_when_no_secret_needs_them
            }
            request {
                every_change_notes_its_request, a_change_that_fails_notes_nothing, of_changes_at_once_one_is_made
            }
            audit {
                filters_and_pages, rows_rise_in_order, the_oldest_are_forgotten, what_was_written_holds_together,
                pruning_keeps_the_rest_together
            }
            alert {
                one_alert_is_open_for_a_matter, an_alert_is_changed_and_found
            }
            notice { events_come_with_their_change, a_fact_is_written_once, a_token_is_looked_at_when_it_is_due, trouble_is_known_until_there_are_new_secrets, what_is_at_risk_is_found_by_whom_it_concerns, what_a_member_chose_is_kept, what_was_read_is_kept }
            load_sample { samples_are_kept_once_and_forgotten }
            destination { destinations_are_kept }
            push { a_browser_is_subscribed_once }
            outbox {
                telling_is_all_or_nothing, a_lane_is_claimed_once_at_a_time, a_failing_lane_holds_up_no_other,
                what_waits_behind_a_failure_becomes_one_message, a_late_result_does_not_count,
                a_dead_message_is_replayed_or_purged, what_is_put_off_was_not_tried_and_more_is_told_in_it, many_events_make_few_messages, it_is_known_who_was_told
            }
            dead_span { a_dead_span_is_kept_with_the_secrets_that_end_it }
            incident {
                one_incident_is_open_for_an_app, those_of_a_team_are_listed_in_pages, a_team_takes_notice_once, tokens_leave_an_incident_healed,
                tokens_stay_in_an_incident_that_they_are_lost_by, an_app_that_is_given_up_takes_all_that_it_covers, new_secrets_are_outside_an_incident
            }
            job {
                one_job_at_a_time_for_a_team_and_network, results_say_how_far_a_job_came, results_are_read_by_what_came_of_them,
                jobs_are_forgotten_with_their_results
            }
            revocation {
                a_revocation_is_claimed_once_at_a_time, a_revocation_that_is_over_has_no_secrets,
                the_tokens_of_a_person_are_counted
            }
            usage { usage_adds_up }
            connection {
                a_connection_comes_back_at_every_stage, a_connection_is_changed_once_from_what_was_read,
                the_tokens_of_a_connection_are_kept_with_its_end_or_not_at_all, the_open_connections_of_a_member_are_found,
                connections_are_listed_ended_and_forgotten, given_refresh_tokens_are_known_again
            }
            clock { a_step_ahead_moves_what_has_not_ended, a_step_back_forgets_windows_only }
            doctor { a_sound_store_has_no_findings, what_is_wrong_is_found }
            survival { dropped_callers_change_nothing_or_all, what_was_acknowledged_is_there_again }
        }
    };
    ($fixture:path; $($module:ident { $($test:ident),* $(,)? })*) => {$(
        mod $module {
            $(
                #[tokio::test]
                async fn $test() {
                    $crate::store::contract::$module::$test(&$fixture()).await;
                }
            )*
        }
    )*};
}
pub(crate) use suite;
