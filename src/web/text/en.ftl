# The console's words in English. A name says where its words are used.

skip = Skip to the content
places = Parts of the console
sign-out = Sign out
yes = Yes
no = No
cancel = Cancel
pages = Pages
page-first = First page
page-next = Next page
back-to-tokens = To the tokens

place-tokens = Tokens
place-load = Token load
place-alerts = Alerts
place-notices = Notices
place-activity = Activity
place-members = Members
place-collectors = Collectors
place-account = Your account

role-owner = Owner
role-manager = Manager
role-member = Member

span-now = just now
span-ahead-minutes = in { $count ->
    [one] 1 minute
   *[other] { $count } minutes
}
span-ahead-hours = in { $count ->
    [one] 1 hour
   *[other] { $count } hours
}
span-ahead-days = in { $count ->
    [one] 1 day
   *[other] { $count } days
}
span-ago-minutes = { $count ->
    [one] 1 minute ago
   *[other] { $count } minutes ago
}
span-ago-hours = { $count ->
    [one] 1 hour ago
   *[other] { $count } hours ago
}
span-ago-days = { $count ->
    [one] 1 day ago
   *[other] { $count } days ago
}

refused-not-found = Not found
refused-forbidden = You may not do this
refused-not-done = This was not done
refused-broken = Out of order
refused-broken-text = The broker can't answer at the moment. Nothing is lost. Try again shortly; if it stays so, tell an operator.

done-paused = { $count ->
    [one] Paused. No collector gets it until it is resumed.
   *[other] { $count } tokens paused. No collector gets them until they are resumed.
}
done-resumed = { $count ->
    [one] Resumed. Collectors get it again.
   *[other] { $count } tokens resumed. Collectors get them again.
}
done-renewed = { $count ->
    [one] Renewed.
   *[other] { $count } tokens renewed.
}
done-tested = { $count ->
    [one] Tested: the network was asked. The result is below.
   *[other] { $count } tokens tested.
}
done-revoked = { $count ->
    [one] Revoked. It is given back to the network, and its secrets are destroyed.
   *[other] { $count } tokens revoked. They are given back to their networks, and their secrets are destroyed.
}
done-none = Nothing was ticked: tick the tokens that you mean.

add-token = Add token
renew-all = Try renewing all of { $network }
filter = Filter
filter-status = By status
filter-text = Search
filter-network = Network
filter-kind = Kind
filter-all = All
filter-go = Filter
filter-none = Show all
tokens-none = No tokens yet
tokens-none-text = A token lets your team's collection read a network on behalf of an account. Connect the first one: you sign in at the network, and come back here.
tokens-none-fit = No token fits these filters.
tokens-caption = { $count ->
    [one] 1 token
   *[other] { $count } tokens
}
tick-all = Tick all on this page
tick-one = Tick { $name }
menu-of = More for { $name }
bulk = With those that are ticked:

col-profile = Profile
col-status = Status
col-credit = Credit left
col-purposes = Used for
col-purpose = For
col-granted-by = Granted by
col-last-used = Last used
col-actions = Actions
col-class = Credit
col-left = Left
col-from = From
col-until = Until
col-note = What was missed
col-member = Member
col-can-renew = Can renew at the network
col-may-here = May renew here
col-why = Why
col-day = Day
col-collection = Collection
col-collector = Collector
col-calls = Calls
col-spent = Spent
col-share = Of a day's allowance
col-errors = Errors

act-renew = Renew
act-reconnect = Connect again
act-test = Test
act-pause = Pause
act-resume = Resume
act-revoke = Revoke …
see-managers = See managers
see-usage = Usage statement
see-notifications = Notifications

status-all = All
status-valid = Valid
status-expiring = Expiring
status-expiring-in = { $days ->
    [0] Ends today
    [one] 1 day left
   *[other] { $days } days left
}
status-dead = Invalid
status-expired = Expired
status-no-expiry = No expiry
status-paused = Paused
status-revoked = Revoked
status-since = Since { $time }
status-in-doubt = The network's last answer was unclear; it is being checked
status-resting-until = Resting until { $time }: a limit was reached

reason-expired = Its time is over
reason-password-changed = The account's password was changed
reason-permission-lost = The person lost the permission
reason-revoked-by-person = The person removed the app at the network
reason-person-blocked = The person must act at the network: blocked, locked or asked to confirm
reason-app-disabled = The network disabled the app
reason-platform-reset = The network reset its tokens
reason-refresh-rejected = The network refused to renew it
reason-not-accepted = The network does not accept it any more, and does not say why
reason-secret-damaged = The stored secret is damaged

purpose-collect-statistics = Numbers
purpose-collect-content = Posts and comments
purpose-publish = Publishing
purpose-activate = Paid promotion
purpose-validate = Checks
purpose-list-pages = Listing pages

unit-calls = calls
unit-quota-units = quota units
unit-points = points
unit-posts = posts
unit-keys = keys
credit-left = { $left } of { $cap } { $unit } left
credit-resets = · comes back { $time }

used-never = Never
used-today = Today
used-yesterday = Yesterday

token-credit = Credit left
token-credit-none = No credit is counted for it: it is not in a pool.
token-leases = { $count ->
    [0] No collector holds it now.
    [one] One collector holds it now.
   *[other] { $count } leases are on it now.
}
reserve-own = { $percent } % of each limit stay with the person.
reserve-usual = A part of each limit stays with the person.
token-facts = Facts
token-checked = Last check
token-id = Id
token-retention = Collected data must be deleted
token-spans = When it did not work
clock-access = Access ends
clock-refresh = Can be renewed until
clock-data = Access to data ends
clock-consent = Agreed
clock-added = Added
clock-none = No date

check-works = Works
check-in-doubt = Refused, in a way that may mean its end
check-ended = The network said that it has ended
check-not-permitted = It lacks the permission for the check
check-limited = A limit was reached
check-app-refused = The network refused the app
check-no-answer = No answer that tells anything

reach-whole = All of it can be fetched later
reach-short = Only the last { $time } can be fetched; what is older is lost
reach-unknown = How far back the network reaches is not known

managers-title = Who can renew it
managers-text = Judged by evidence alone: { $network } tells nobody who has which rights.
managers-none = The token speaks for no profile.
can-renew-yes = Yes
can-renew-no = No
can-renew-unknown = Not known
evidence-holds-token = Holds a token of it that works
evidence-lost-permission = The network said that the permission was lost
evidence-person-blocked = The network said that the person is blocked or must act there
evidence-held-token = Held a token of it before
evidence-named-here = Is named here as looking after it
evidence-has-account = Has an account at the network
evidence-nothing = Nothing is known

usage-text = { $count ->
    [one] One call
   *[other] { $count } calls
} in the last { $days } days, by whom and for what.
usage-allowance = What the network allows in a day:
usage-none = It was not used in these days.
usage-more = And { $count } more rows; `token-broker token usage` shows all.
usage-by-hand = An operator, by hand

outcome-title = Not all of it was done
outcome-failed = { $count ->
    [one] One token was left as it is:
   *[other] { $count } tokens were left as they are:
}

revoke-title = { $count ->
    [one] Revoke this token?
   *[other] Revoke these { $count } tokens?
}
revoke-text = Collection with it ends at once. It is given back to the network and its secrets are destroyed: that can't be undone. To go on later, the account must be connected anew.
revoke-word = revoke
revoke-type = Type “{ $word }” to confirm
revoke-wrong = Type “{ $word }” into the field; nothing was revoked.

# Token load

load-text = What your team's collection asks for, compared with what its tokens can give.
load-as-of = As of
load-none = Nothing is collected yet
load-none-text = As soon as a collector asks for credit, this page shows how heavily it loads your tokens.
load-gauge = Token load { $percent }
load-figures = In { $span }, { $demand } credits were asked for; { $tokens ->
    [0] there is no token to give any
    [one] one token can give { $supply }
   *[other] { $tokens } tokens can give { $supply }
}.
load-per-token = { $volume } credits per token in { $span }.
load-no-supply = over
load-connect = Connect an account
load-invite = Invite people to connect theirs
load-spans = Other spans
load-judged = judged by
load-range = Span of the chart
load-chart = Token load, { $range }: { $highest } at most
load-chart-none = The chart begins with the first quarter of an hour of collecting.
load-causes = What causes it
load-causes-none = No collection stands out.
load-forecast = When tokens end
load-forecast-none = No known end changes the load.
load-ending = { $count ->
    [one] One token ends
   *[other] { $count } tokens end
}
load-what-if = What if …
load-more-tokens = more tokens:
load-estimate = Estimate
load-idle = { $count ->
    [one] One kind of credit that nobody asks for
   *[other] { $count } kinds of credit that nobody asks for
}
estimate-title = { $count ->
    [one] With one more token of { $network }:
   *[other] With { $count } more tokens of { $network }:
}
estimate-none = Nothing that is collected now would change.
level-ok = In order
level-high = Too high
level-critical = More than the tokens can give
level-no-tokens = No usable token
span-five-minutes = 5 minutes
span-quarter-hour = 15 minutes
span-hour = 1 hour
span-day = 24 hours
range-day = last 24 hours
range-week = last 7 days
chart-demand = Asked for, per hour
chart-supply = Tokens can give, per hour
chart-demand-short = Asked for
chart-supply-short = Can give
chart-ratio = Load
chart-open-at = Alert opens
col-span = Span
col-share-of-demand = Share of the demand
col-when = When
col-ends = What ends
col-then = Load then
col-tokens = Tokens
advice-nothing = The tokens carry what is collected.
advice-add = { $count ->
    [one] One more { $network } token{ $whose } brings the load to { $reaches }.
   *[other] { $count } more { $network } tokens{ $whose } bring the load to { $reaches }.
}
advice-add-up-to = { $count ->
    [one] One more { $network } token{ $whose } brings the load to { $reaches };
   *[other] { $count } more { $network } tokens{ $whose } bring the load to { $reaches };
} beyond that { $limit } stands in the way.
advice-adds-nothing = More tokens do not help: { $limit } is what is short. Collect less, or have that limit raised.
advice-connect-first = Connect a first { $network } token.
newcomer-anybody = {""}
newcomer-other-people = {" "}of people who have none here yet
newcomer-other-profiles = {" "}of profiles that have none here yet
limit-token = the limit of each token
limit-person = the limit of each person
limit-profile = the limit of each profile
limit-app = the limit of the app, which all tokens share,
limit-address = the limit of the broker's own address, which all share,

# Alerts and incidents

alerts-open = Open
alerts-past = Past
alerts-none-open = Nothing is wrong.
alerts-none-past = No alert has cleared yet.
alerts-since = Since
alerts-who = Told:
alerts-nobody = nobody yet.
alerts-told = { $who } ({ $time })
alerts-not-told-yet = { $who } (waits)
alerts-note = Note
alerts-acknowledge = I have seen it
alerts-acknowledged = Seen by { $name },
done-acknowledged = Noted that you have seen it.
level-warning = Warning
level-critical-alert = Critical
incidents = Incidents
incidents-none = No incident has hit your team's tokens.
incident-open = Open
incident-recovered = the tokens work again
incident-lost = the tokens are lost
incident-tokens = { $count ->
    [one] It hit one token of your team.
   *[other] It hit { $count } tokens of your team.
}
col-what = What
col-opened = Since
col-over = Over
col-acknowledged = Seen by

# Renewing all tokens of a network

job-state-running = Under way
job-state-cancelled = Stopped
job-state-done = Done
job-begun-by = begun by { $name },
job-progress = Progress
job-counts = { $done } of { $all } tokens: { $renewed } renewed, { $failed } to be tried again, { $person } to be connected by a person
job-cancel = Stop
job-resume = Go on
job-none = No token has been tried yet.
job-renewed = Renewed
job-failed = Not now
job-needs-person = Connect again
job-nothing = Nothing to renew
col-result = Result

# Signed out in the middle of a form

kept-title = You are signed in again
kept-text = Your session had ended before you sent the form. Nothing was done yet, and what you entered is still here.
kept-send = Send it now
kept-cancel = Leave it

# What a member can mend, after the sign-in

hello-title = { $count ->
    [one] One of your tokens needs you
   *[other] { $count } of your tokens need you
}
hello-text = They have expired, or will within 7 days. Renew them, and collection goes on.
hello-later = Later
hello-off = Don't show this

done-connected = { $count ->
    [one] The account is connected.
   *[other] { $count } accounts are connected.
}
done-not-connected = Nothing was connected, and what the network had given was thrown away.

# Asked for the password once more

confirm-title = Is it still you?
confirm-text = This reaches far, so type your password once more. Nothing was done yet.
confirm-password = Password
confirm-go-on = Go on
confirm-wrong = This is not your password. Nothing was done.
confirm-no-password = If you sign in without a password here, sign out and in again: then you are not asked for 15 minutes.
