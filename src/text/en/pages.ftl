# The words of all pages in English. A name says where its words are used.

skip = Skip to the content
places = Parts of the console
sign-out = Sign out
session-over = Your session has ended. This page is no longer kept up to date.
yes = Yes
no = No
cancel = Cancel
pages = Pages
pages-incidents = Pages of incidents
page-first = First page
page-previous = Previous page
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

place-overview = Overview
place-networks = Networks and apps
place-pools = Pools
place-leases = Leases and queue
place-dead-letters = Dead letters
place-keys = Keys
operators = UTC · Operators
operator = Operator
back-to-overview = To the overview

role-admin = Admin
role-reader = Reader
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
refused-other-team = You are signed in to { $team }: what belongs to another team of yours is found once you sign in there.
refused-forbidden = You may not do this
refused-not-done = This was not done
refused-broken = Out of order
refused-broken-text = The broker can't answer at the moment. Nothing is lost. Try again shortly; if it stays so, tell an operator.

problem-no-page = There is no such page here. What it showed may be gone, or its address is not complete.
problem-foreign = Another site asked for this, so it was not done. Open the page here, and send it from there.
problem-too-long = What was sent is too long. Go back, shorten it, and send it again.
problem-not-understood = Something in the address or in the form is not understood. Go back, look it over, and try again.
problem-go-on = To the first page

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
    [one] Tested: the network was asked. The status below is what it answered.
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
tokens-none-left = No token is left
tokens-none-left-text = All of your team's tokens were given back. Connect an account to go on collecting.
tokens-no-status = No token can have the status “{ $status }”: choose one of those above.
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
col-day = Day (UTC)
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
    [1] Ends tomorrow
   *[other] { $days } days left
}
status-dead = Invalid
status-expired = Expired
status-no-expiry = No expiry
status-paused = Paused
status-revoked = Revoked
status-since = Since { $time }
status-blocked = The network blocks the account: sign in there and do what it asks for
status-rests = It rests for an incident
rests = Tokens of { $network } rest for an incident. Wait until it is over, and connect no more accounts there meanwhile.
status-in-doubt = The network's last answer was unclear; it is being checked
status-reconnect-by = Connect it again by { $time }: { $why }
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
used-within-a-day = Last 24 h
used-within-two-days = Last 48 h
used-on = { $day } (UTC)

token-credit = Credit left
token-credit-none = No credit is counted while it is paused, rests or does not work.
token-credit-whose = { $owner ->
    [token] per token
    [profile] per profile
    [app] per app
    [address] per address of the broker
   *[person] per person
}
token-credit-seconds = { $count ->
    [one] 1 second
   *[other] { $count } seconds
}
token-credit-minutes = { $count ->
    [one] 1 minute
   *[other] { $count } minutes
}
token-credit-hours = { $count ->
    [one] 1 hour
   *[other] { $count } hours
}
token-credit-days = { $count ->
    [one] 1 day
   *[other] { $count } days
}
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
token-retention = What the network's terms ask for since it ended
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
usage-allowance = What the network allows in a day, by today's limits (the shares of all days are of these):
usage-none = It was not used in these days.
usage-more = And { $count } more rows; `token-broker token usage` shows all.
usage-by-hand = An operator, by hand

outcome-title = Not all of it was done
outcome-failed = { $count ->
    [one] One token was left as it is:
   *[other] { $count } tokens were left as they are:
}

renew-not-tried = It was not tried: to renew so many takes longer than a page waits. Tick it once more, or try renewing all of its network.
renew-needs-person = No renewal is of use here: whoever has the account must connect it again.

revoke-title = { $count ->
    [one] Revoke this token?
   *[other] Revoke these { $count } tokens?
}
revoke-text = Collection with it ends at once. It is given back to the network and its secrets are destroyed: that can't be undone. To go on later, the account must be connected anew.
revoke-go = Revoke
revoke-word = revoke
revoke-left = { $count ->
    [one] One token that you ticked is left as it is:
   *[other] { $count } tokens that you ticked are left as they are:
}
type-wrong = Type “{ $word }” into the field; nothing was done.
type-word = Type “{ $word }” to confirm

# Token load

load-text = What your team's collection asks for, compared with what its tokens can give.
load-as-of = As of
load-none = Nothing was collected in the last 24 hours
load-one-none = Nobody asks for this credit
load-one-none-text = Nothing was collected with it in the last 24 hours, so there is nothing to compare with what your tokens can give.
load-all = All loads
load-none-text = As soon as a collector asks for credit, this page shows how heavily it loads your tokens.
load-gauge = Token load { $percent }
load-figures = In { $span }, { $demand } credits were asked for; { $tokens ->
    [0] there is no token to give any
    [one] one token can give { $supply }
   *[other] { $tokens } tokens can give { $supply }
}.
load-per-token = { $volume } credits per token in { $span }.
load-grows = It grows: at the pace of the last minutes it comes to { $percent }, which the advice is for.
load-no-supply = over
load-percent = { $percent } %
load-share = { $name } { $percent } %
load-connect = Connect an account
load-incident = See the incident
load-tokens = See the tokens
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
    [one] One kind of credit that nobody asked for in 24 hours
   *[other] { $count } kinds of credit that nobody asked for in 24 hours
}
estimate-title = { $count ->
    [one] With one more token of { $network }:
   *[other] With { $count } more tokens of { $network }:
}
estimate-none = Nothing that was collected in the last 24 hours would change.
estimate-grows = The demand grows: these are the loads that it comes to at the pace of the last minutes, as the advice has it.
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
chart-time = Time
chart-open-at = Alert opens
chart-full = All that tokens can give
chart-scale = { $line } (scale up to { $most })
col-span = Span
col-share-of-demand = Share of the demand
col-when = When
col-ends = What ends
col-then = Day's load then
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
advice-wait = Its tokens rest for an incident: wait until that is over, and connect no more accounts meanwhile.
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
alerts-none-open = No alert is open.
alerts-count = { $count } alerts are open, { $critical ->
    [0] none of them critical: those that are open longest come first.
    [one] one of them critical: it comes first, then those that are open longest.
   *[other] { $critical } of them critical: these come first, then those that are open longest.
}
alerts-more = { $count ->
    [one] One more is open
   *[other] { $count } more are open
}
alerts-none-past = No alert has cleared yet.
alerts-since = Since
alerts-who = Told:
alerts-nobody = nobody yet.
alerts-nobody-known = nobody, as far as it is still known.
alerts-who-link = see whom
told = { $who }{ $by } ({ $result })
told-by-mail = {" "}by mail
told-by-push = {" "}in a browser
told-in-app = {" "}in the app
told-waits = waits
told-failed = could not be reached
told-read = read
alert-over = Over
alert-load = In { $span }, { $demand } credits are asked for; { $tokens ->
    [0] there is no token to give any.
    [one] one token can give { $supply }: a load of { $percent }.
   *[other] { $tokens } tokens can give { $supply }: a load of { $percent }.
}
alert-causes = Most is asked for by { $causes }.
alert-no-tokens = No usable { $network } token for { $class }: { $why }
no-token-none-connected = your team has none connected. A member should connect an account.
no-token-all-expired = all of them have expired. The members who granted them should connect them again.
no-token-all-invalid = none of them works any more. The members who granted them should connect them again.
no-token-all-paused = all of them are paused. A manager should let one go on.
no-token-all-blocked = the network blocks their accounts for a time. The members who granted them should sign in there and look.
no-token-permission-lost = the network refused this for want of a permission or role. It should be given back there; then a member should connect an account again.
no-token-none-of-kind = none is of a kind that may make this call. A member should connect one of that kind.
no-token-none-for-purpose = none was agreed for this purpose. A member should connect it again and agree to it.
no-token-none-with-scopes = none has the permissions that this call needs. A member should connect it again and grant them.
no-token-none-for-profile = none speaks for the profile that is asked for. Somebody who manages the profile should connect it.
alerts-note = Note
alerts-acknowledge = I have seen it
alerts-acknowledged = Seen by { $name },
done-acknowledged = Noted that you have seen it.
level-warning = Warning
level-critical-alert = Critical
incidents = Incidents
incidents-none = No incident has concerned your team's tokens.
incident-open = Open
incident-recovered = the tokens work again
incident-lost = the tokens are lost
incident-tokens = { $count ->
    [0] No token of your team was refused itself.
    [one] It hit one token of your team.
   *[other] It hit { $count } tokens of your team.
}
incident-text-network-reset = { $network } refused the tokens of { $persons ->
    [one] one person
   *[other] { $persons } persons
} of the app “{ $app }”.
incident-text-app-disabled = { $network } refused the app “{ $app }”, whatever the token.
incident-text-provider-outage = { $network } failed for { $persons ->
    [one] one person
   *[other] { $persons } persons
} of the app “{ $app }” and served nobody.
incident-rests-network-reset = The tokens and their renewals rest meanwhile.
incident-rests-app-disabled = The app's tokens rest meanwhile.
incident-rests-provider-outage = Renewals rest meanwhile.
incident-title = Incident at { $network }
incident-todo = What to do
incident-todo-network-reset = Wait. Do not connect accounts again while it is open: most tokens may come back by themselves. You are told how it ends.
incident-todo-app-disabled = Wait for an operator, who must look at the app at the network. To connect accounts again helps only once the app works. You are told how it ends.
incident-todo-provider-outage = Wait: the network has trouble. Collection goes on by itself once the network answers. You are told how it ends.
incident-todo-recovered = Nothing. The tokens work again, and collection goes on by itself. Those that had been called dead meanwhile are checked once more.
incident-todo-lost = Connect the accounts again that do not work. Their settings, collections and history stay as they are.
incident-todo-lost-app-disabled = An operator must look at the app at the network first. Once it works again, connect the accounts again that do not work. Their settings, collections and history stay as they are.
incident-see-tokens = See the tokens
incident-mend = Connect the accounts again
incident-operator-network-reset = Look whether the network tells of trouble. Single calls are made to see whether the tokens work again; once enough are served, it closes by itself. Close it by hand only if you know how it went out.
incident-operator-app-disabled = Look at the app's registration at the network, and set it right there. Single calls are made to see whether it works again; once enough are served, it closes by itself. Close it by hand only if you know how it went out.
incident-operator-provider-outage = Look whether the network tells of trouble. Nothing has to be done here: once the network answers again, it closes by itself.
incident-hit = Whom it hit
col-what = What
col-opened = Since
col-over = Over
col-acknowledged = Seen by
col-level = Level
col-seen = Seen

# Renewing all tokens of a network

jobs = Renewals of whole networks
jobs-text = Renews what can be renewed of a network's tokens, one after the other, and says of each what came of it. That is kept for 30 days.
jobs-network = Network
jobs-begin = Try renewing all
jobs-no-tokens = Your team has no token of { $network } that could be renewed.
jobs-none = Nobody has tried to renew all tokens of a network lately.
col-begun = Begun
job-state-running = Under way
job-state-cancelled = Stopped
job-state-done = Done
job-begun-by = begun by { $name },
job-progress = Progress
job-counts = { $done } of { $all } tokens: { $renewed } renewed, { $failed } to be tried again, { $person } to be connected by a person, { $nothing } with nothing to renew
job-cancel = Stop
job-resume = Go on
job-none = No token has been tried yet.
job-renewed = Renewed
job-failed = Not now
job-needs-person = Needs a person
job-nothing = Nothing to renew
job-why-network = The network did not renew it now. It is tried again by itself.
job-why-incident = An incident is open at the network. It is renewed by itself once single calls show that the network is back. See Alerts.
job-why-not-yet = Its refresh token works once, and was shown not long ago: it is renewed by itself, later.
job-why-client = The client id and the secret of its app are not known. An operator sets them under Networks and apps.
job-why-broker = The broker could not do it. Try again shortly; if it stays so, tell an operator.
job-why-nothing = It does not end by time, or was given back.
col-result = Result

# Signed out in the middle of a form

kept-title = You are signed in again
kept-text = Your session had ended before you sent the form. Nothing was done yet, and what you entered is still here.
kept-secret = Secret (it was not kept: enter it again)
kept-target = Address (it was not kept: enter it again)
kept-send = Send it now
kept-cancel = Leave it

# What a member can mend, after the sign-in

hello-title = { $count ->
    [one] One token needs you
   *[other] { $count } tokens need you
}
hello-title-more = More than { $count } tokens need you
hello-dead = All that do not work
hello-expiring = All that end soon
hello-text = They have expired, or will within 7 days. Mend them, and collection goes on: what a renewal can't save is connected again at its network.
hello-later = Later
hello-on = Go on to the page that you wanted
hello-off = Don't show this

done-connected = { $count ->
    [one] The account is connected.
   *[other] { $count } accounts are connected.
}
done-not-connected = Nothing was connected, and what the network had given was thrown away.

# A form was sent again whose answer showed a secret

again-title = This was done already
again-text-key = The key was made when this form was first sent. It was shown that once and is not kept. If you did not copy it, revoke it and make another.
again-go-key = Revoke this key
again-text-link = The link was made when this form was first sent. It was shown that once and is not kept. If you did not copy it, make a new one for the same person: the first one does not work from then on.
again-go-link = To the person
again-text-secret = The destination was added when this form was first sent. Its signing secret was shown that once and is not kept. If you did not copy it, give the destination a new one.
again-go-secret = Change the destination
again-text-connect = The connect link was made when this form was first sent. It was shown that once and is not kept. If you did not copy it, make another: nobody can use the first one without having it, and it ends by itself.
again-go-connect = Connect an account

# Asked for the password once more

confirm-title = Is it still you?
asked-jobs = You asked to renew all tokens of a network.
asked-jobs-job-resume = You asked to let a job go on.
asked-tokens-act = You asked to do something to the tokens that you ticked.
asked-tokens-revoke = You asked to revoke tokens.
asked-tokens-token-revoke = You asked to revoke a token.
asked-collectors-collector-keys = You asked to make a key for a collector.
asked-collectors-collector-keys-key-revoke = You asked to revoke a key of a collector.
asked-members-invite = You asked to invite a person.
asked-members-member = You asked to change a member.
asked-members-password = You asked for a new password.
asked-members-member-resend = You asked for a new link by which a member signs in.
asked-members-member-remove = You asked to take a member out of the team.
asked-notifications-destinations-new = You asked to add a place where the team is told.
asked-notifications-destinations-destination = You asked to change a place where the team is told.
asked-operator-keys-new = You asked to make a key.
asked-operator-keys-key-revoke = You asked to revoke a key.
asked-operator-keys-rotate = You asked to change the sealing key.
asked-operator-networks-network-apps = You asked to add an app.
asked-operator-networks-network-apps-app = You asked to change an app.
asked-operator-dead-letters-replay = You asked to send all messages again that were given up.
asked-operator-incidents-incident-close = You asked to close an incident.
confirm-text-password = This reaches far, so type your password once more. Nothing was done yet.
confirm-text-key = This reaches far, so show your key once more. Nothing was done yet.
confirm-password = Password
confirm-key = Key
confirm-go-on = Go on
confirm-wrong-password = This is not your password. Nothing was done.
confirm-wrong-key = This is not the key that you signed in with. Nothing was done.
confirm-elsewhere = Without a password: { $name }

notices-unread = unread
notices-choose = Choose what you hear
notices-only-unread = Unread
notices-read-all = Mark all as read
notices-read = Mark as read
notices-read-one = Mark as read: { $subject }
notices-new = New
notices-over = This is over: { $why }.
over-gone = the token is gone
over-healed = the token works again
over-ended = the token does not work any more
over-outrun = something more urgent is told of it
over-over = it is over
over-unheard = the trouble that it ends was not told
over-covered = it is part of an incident
notices-all-read = You have read everything.
notices-none = No notices yet
notices-none-text = Here you are told when a token ends, does not work any more or works again, and when more is collected than the tokens carry.
notices-none-here = Nothing on this page concerns you; there is more on the next.

activity-text = What was changed in the team, by whom. A file holds what fits the filters, up to the newest { $count } events.
activity-csv = As CSV
activity-lines = As JSON lines
activity-who = Who
activity-anybody = Anybody
activity-about = About
activity-token = Token (id)
activity-from = From
activity-to = To
activity-leases = With leases
activity-when = When
activity-did = Did
activity-thing = What
activity-detail = More
activity-none = Nothing happened yet.
activity-none-fit = Nothing fits these filters.
activity-none-here = Nothing that fits so far; the next page looks further back.
activity-wrong-day = A day is written as 2026-01-31.
who-operator = An operator
who-operator-named = Operator: { $name }
who-collector-named = Collector: { $name }
who-broker = The broker
who-unreadable = Not readable: somebody changed this entry
about-token = Tokens
about-connection = Connecting
about-consent = Consent
about-member = Members
about-session = Sign-ins
about-profile = Profiles
about-collector = Collectors
about-key = Keys
about-destination = Destinations
about-notice = Notices
about-alert = Alerts
about-incident = Incidents
about-job = Jobs
did-alert-acknowledge = Acknowledged an alert
did-alert-open = An alert opened
did-alert-raise = An alert became critical
did-alert-lower = An alert is no longer critical
did-alert-clear = An alert cleared
did-collector-create = Made a collector
did-collector-delete = Deleted a collector
did-collector-disable = Disabled a collector
did-collector-enable = Enabled a collector
did-collector-update = Changed a collector
did-connection-cancel = Cancelled connecting an account
did-connection-complete = Connected an account
did-connection-drop = Dropped an account that came back
did-connection-lapse = Connecting an account took too long
did-connection-start = Began to connect an account
did-consent-withdraw = Withdrew consent
did-destination-create = Added a destination
did-destination-delete = Deleted a destination
did-destination-reseal = Sealed a destination with a new key
did-destination-test = Sent a test to a destination
did-destination-update = Changed a destination
did-incident-open = An incident began
did-incident-close = An incident ended
did-incident-acknowledge = Acknowledged an incident
did-incident-progress = An incident went on
did-job-begin = Began a job
did-job-cancel = Cancelled a job
did-job-end = Ended a job
did-job-resume = A job went on
did-key-create = Made a key
did-key-revoke = Revoked a key
did-lease-open = Leased a token
did-member-account = Learnt which account is the member's
did-member-ask-for-mail = Asked for another mail address
did-member-bind = Bound to the sign-in service
did-member-invite = Invited a person
did-member-join = Joined the team
did-member-leave = Taken out of the team
did-member-left = Left: all is done
did-member-prove-mail = Proved a mail address
did-member-resend-invitation = Made a new link
did-member-set-password = Set a password
did-member-update = Changed a member
did-member-withdraw-invitation = Withdrew an invitation
did-notice-read = Read notices
did-notice-settings = Chose what to hear
did-profile-update = Changed a profile
did-push-gone = A browser is gone
did-push-subscribe = Subscribed a browser
did-push-unsubscribe = Unsubscribed a browser
did-session-begin = Signed in
did-session-end = Ended a session
did-session-refuse = A sign-in was refused
did-team-create = Made the team
did-team-update = Changed the team
did-token-add = Added a token
did-token-connect = Connected a token
did-token-give-back = Gave a token back to its network
did-token-invalidate = A token became invalid
did-token-narrow = Narrowed what a token is for
did-token-pause = Paused a token
did-token-reconnect = Connected a token again
did-token-renew = Renewed a token
did-token-resume = Resumed a token
did-token-revoke = Revoked a token
did-token-state = A token's state changed
did-token-update = Changed a token

copy = Copy
copied = Copied
save = Save
wrong-mail = The mail address { $why }.
wrong-zone = The time zone { $why }.
wrong-role = There is no such role.
done-member-changed = Changed.
done-mail-asked = A link was sent to the new address. It is used once the link was opened; until then the one before stays.
done-link-withdrawn = The link does not work any more.
done-session-ended = The session has ended.
members-invite = Invite a person
members-active = In the team
members-invited = Invited
members-left = Left
members-none = Nobody is here.
members-role = Role
members-state = State
members-accounts = Own accounts
member-you = You
member-invited = Invited, not yet here
member-since = Since { $time }
member-left-on = Left { $time }
member-link-over = The link is over: make a new one
member-link-until = The link works until { $time }
member-mail = Mail address
member-name = Name
member-zone = Time zone
member-invited-on = Invited
member-link = Link
member-accounts = Own accounts
member-no-accounts = None connected
member-resend = New invitation link
member-new-password = Link for a new password
member-withdraw = Withdraw the link
member-remove = Remove from the team …
member-leave = Leave the team …
member-see-departure = See what was done
member-change = Change
member-change-text = With another mail address or role, all sessions end: the person signs in again.
member-mail-by-link = Another mail address is used once the link was opened that is sent to it.
member-mail-asked = Asked for
member-mail-asked-text = { $mail }, once the link is opened that was sent there
role-may-owner = everything, the members too
role-may-manager = all tokens, profiles and collectors of the team
role-may-member = own accounts and the profiles that it looks after
invite-text = You get a link, once, to send to this person and nobody else. It works for 7 days.
invite-go = Make the link
link-title = The link is made
link-invites = With this link { $mail } joins the team.
link-password = With this link { $mail } sets a new password.
link-once = Copy it now: it is not shown again. It can be used once, until { $time }. Whoever has it can use it, so send it to this person and nobody else.
link-back = To those who are invited
sessions-title = Sessions
sessions-none = Nobody is signed in.
session-browser = Browser
session-from = From
session-begun = Signed in
session-used = Used
session-this = This one
session-end = End
leave-title = Remove from the team:
leave-title-own = Leave the team
leave-text = This can't be undone: to come back, the person is invited anew, as a new member.
leave-sessions = All sessions end at once, links that were sent, and connect links that the person made.
leave-tokens = The tokens that the person granted are given back to their networks and revoked. One that speaks for another member's account, too, is handed on to that member.
leave-profiles = Profiles that the person owns or looks after are let go.
leave-keys = Keys that this member made
leave-keep-keys = Leave them as they are: programs need them
leave-keys-text = They are revoked, since whoever has seen a key can use it. Programs that use one of them stop at once: give them new ones first, or leave the keys and replace them later; the report lists them.
leave-why = Why (for the audit)
leave-type = To confirm, type the mail address
leave-wrong = Type { $mail } into the field; nobody was removed.
leave-go = Remove
leave-go-own = Leave
departure-title = Left the team:
departure-done = All is done.
departure-goes-on = It goes on: what is left is done in the background. Load the page again to see how far it is.
departure-sessions = Sessions that ended
departure-invitation = Invitation withdrawn
departure-connections = Unfinished connections that ended
departure-profiles = Profiles let go
departure-none = None
departure-tokens = Tokens
departure-revoked = revoked
departure-network-pending = the network is still to be told
departure-network-done = given back to the network
departure-network-shared = the network is told with the last token of the same person
departure-network-given-up = not given back to the network: the person can remove the app there
departure-network-untold = where its network stands is not known: it is not revoked yet, or was more than 90 days ago
departure-heir = handed on to
departure-more = And { $count } more.
departure-keys = Keys to replace
departure-keys-text = This member made them, and they still work. Make new keys, give them to the programs, then revoke these.
departure-revoked-keys = Keys that were revoked

collectors-text = The programs that lease your team's tokens. Each has keys of its own, and may ask for what it needs only.
collectors-none = No collectors yet
collectors-none-text = A collector is a program that collects with your team's tokens. Make one, give it a key, and it can begin.
collector-new = New collector
collector-new-text = Say what it may ask for; the rest is refused. It can be changed later.
collector-make = Make the collector
collector-name = Name
collector-networks = Networks
collector-all-networks = All, also those that come later
collector-purposes = For
collector-leases = Leases now
collector-on = Enabled
collector-off = Disabled
collector-off-text = Nothing is leased to it, whatever its keys.
collector-holds = { $count ->
    [0] It holds no lease now.
    [one] It holds one lease now.
   *[other] It holds { $count } leases now.
}
collector-enable = Enable
collector-disable = Disable
collector-scope = What it may ask for
collector-scope-text = A change holds from the next request on; leases that it holds it keeps.
collector-most-leases = Leases at once, at most
collector-no-name = Give it a name.
collector-no-network = Tick at least one network, or all.
collector-no-purpose = Tick at least one purpose.
done-collector-made = Made. Now make a key for it.
done-collector-changed = Changed.
done-collector-disabled = Disabled. Nothing is leased to it, and what it held was recalled.
done-collector-enabled = Enabled. It can lease again.
done-key-revoked = Revoked. Whoever shows this key is refused from now on.
keys-title = Keys
keys-none = It has no key yet, so it can't call.
key-name = Name
key-made = Made
key-made-by = By
key-ends = Ends
key-ends-never = Never
key-days = Days until it ends (empty: never)
key-wrong-days = The days are a number from 1 to { $most }, or empty.
key-make = Make a key
key-title = A key for
key-once = Copy it now: it is not shown again. Whoever has it acts as this collector, so keep it where only the program reads it.
key-once-operator = Copy it now: it is not shown again. Whoever has it acts as this operator, so keep it secret.
key-environment = Environment
key-proto = The programs below read the key from the environment. They need the broker's .proto files.
key-back = To the collector
key-revoke-one = Revoke { $name }
deed-title-key-revoke = Revoke the key
deed-text-key-revoke = Programs that use it are refused at once. This can't be undone; give them a new key first.
deed-go-key-revoke = Revoke
deed-word-key-revoke = revoke
lately-title = In the last { $days } days
lately-none = It made no calls.
lately-errors = Failed
lately-throttled = Refused for limits
snippet-python = Python
snippet-rust = Rust
snippet-grpcurl = grpcurl

notifications-title = Notifications
done-chosen = Saved.
done-quiet-set = Saved. In quiet hours nothing is sent; their end brings one mail about them.
done-subscribed = Subscribed. This browser shows your notices, also while no page is open.
done-unsubscribed = Unsubscribed. This browser is told of nothing any more.
done-destination-added = Added. Send a test to see whether it arrives.
done-destination-changed = Changed.
done-destination-deleted = Deleted. Nothing is sent there any more.
done-test-sent = The test message arrived.
matrix-title = What you hear
matrix-for = For
matrix-all = All profiles
matrix-show = Show
matrix-more = Your team has more profiles than are listed. You come to each of them from its token: open the token's menu, then Notifications.
matrix-of-token = This token speaks for several profiles:
matrix-text-all = What is chosen here holds for all profiles that have no choice of their own.
matrix-text-profile = What is chosen here counts more than what is chosen for all. Profile:
matrix-no-mail = This broker sends no mail: an operator has not set a mail server.
matrix-kind = When
matrix-asks = To do
channel-mail = Mail
channel-in-app = In the app
channel-web-push = Push
choice-usual-on = As usual: on
choice-usual-own = As usual: my own
choice-usual-others = As usual: those of others
choice-usual-off = As usual: off
choice-as-for-all = As for all
choice-on = On
choice-off = Off
kind-token-expiring = A token ends soon
kind-token-expired = A token has ended
kind-token-invalid = A token does not work any more
kind-needs-reconnecting = An account must be connected again
kind-token-blocked = A network blocks an account
kind-token-renewed = A token works again
kind-token-connected = An account was connected
kind-out-of-band-spending = Somebody else spends a token's credit
kind-operation-refused = A network refuses an operation to everybody
kind-retention-clock = Collected data must be deleted, or the account authorised anew
kind-out-of-order = A destination does not work any more
kind-load-too-high = The token load is too high
kind-load-cleared = The token load is fine again
kind-no-access-tokens = There is no usable token
kind-access-tokens-again = There are usable tokens again
kind-incident-opened = An incident began: many tokens fail, the app is refused, or the network is down
kind-incident-closed = An incident is over
quiet-title = Quiet hours
quiet-text = Nothing is sent to you in these hours of your time zone, { $zone }. Leave both empty for none.
quiet-from = From
quiet-until = Until
quiet-wrong = Quiet hours have a beginning and an end, such as 22:00 and 07:00; or leave both empty.
dialog-title = At the sign-in
dialog-text = List the tokens that need me when I sign in
browsers-title = Browsers and phones
browsers-text = Push messages reach a browser that is subscribed, also while no page is open.
browser-since = Since
browser-unsubscribe = Unsubscribe
browser-unsubscribe-one = Unsubscribe { $name }
browser-name = Name of this browser
browser-subscribe = Subscribe this browser
push-script = To subscribe this browser, let it run this page's script.
push-impossible = This browser can't be told by push messages here. On an iPhone or iPad, add this page to the home screen and open it from there; elsewhere, use a current browser, and an address that begins with https.
push-denied = This browser was told not to show notifications of this page. Allow them in its settings for this page, then load the page again.
push-failed = The browser did not subscribe. Try again; if it stays so, its push service can't be reached from here.
push-no-pages = Push messages need the address of these pages: an operator must set http.public_url.
destinations-title = Where the team is told
destinations-text = Mail lists, chats and webhooks that hear of everything in the team, beside what members choose.
destinations-none = The team has no destination yet.
destination-damaged = What the broker stored of its target or signing secret is damaged and does not open, so nothing can be sent to it. Set both anew.
destination-gone = Since { $time } the receiver says that it is not there any more. Nothing is sent to it until the destination is changed, or a test arrives.
destination-add = Add a destination
destination-add-go = Add
destination-name = Name
destination-kind = Kind
destination-mail = Mail
destination-slack = Slack
destination-teams = Microsoft Teams
destination-webhook = Webhook
destination-about-mail = a mail address, of a person or of a list
destination-about-slack = the URL of an incoming webhook
destination-about-teams = the URL of a workflow's webhook
destination-about-webhook = an https URL that takes signed messages (Standard Webhooks)
destination-target = Where
destination-target-field = Mail address or URL
destination-target-new = New mail address or URL (empty: as it is)
destination-secret-field = Signing secret of a webhook (empty: one is made)
destination-secret-new = New signing secret, or the old and the new one while they change (empty: as it is)
destination-events = Hears of
destination-test = Send a test
destination-test-text = A test message shows whether this destination can be reached. It takes a few seconds.
destination-delete = Delete …
deed-title-destination-delete = Delete
deed-text-destination-delete = Nothing is sent there any more, also not what waits to be sent. To go on later, add it anew.
deed-word-destination-delete = delete
deed-go-destination-delete = Delete
secret-title = The webhook's signing secret
secret-text = Messages to it are signed with this secret. Its receiver checks the signatures with it.
secret-once = Copy it now: it is not shown again.
secret-back = To the destination

operator-sign-in = Operators: sign in
operator-sign-in-text = Show the key of an operator, which begins with tbk_. The browser keeps a session of it, not the key.
operator-sign-in-member = Sign in as a member of a team
sign-in = Sign in

figure-teams = Teams
figure-tokens = Tokens
figure-leases = Leases held
figure-waiting = Requests waiting
figure-messages = Messages to send
figure-given-up = Messages given up
replicas = Processes on this store
replicas-text = One process at a time works on the embedded store: a second one that is started on it is refused.
process-grpc = gRPC at { $address }
process-http = HTTP at { $address }
store-writes = accepts changes
store-refuses = refuses changes
col-process = Process
col-version = Version
col-store = Store
col-since = Since
incident-tokens-in-all = { $count ->
    [one] It hit one token
   *[other] It hit { $count } tokens
}
incident-teams = { $count ->
    [one] in 1 team
   *[other] in { $count } teams
}
incident-over = Over
incidents-none-anywhere = There was no incident.
incident-acknowledged = seen
incident-close = Close: they work again
incident-lose = Close: they are lost
deed-title-incident-close = Close the incident at
deed-text-incident-close = All its tokens are let through at once, though it was not seen that they work. What fails then is judged token by token.
deed-go-incident-close = Close the incident
deed-word-incident-close = close
deed-title-incident-lose = Give up the tokens of
deed-text-incident-lose = All its tokens are given up: nobody gets them any more, and their people are asked to connect them again.
deed-go-incident-lose = Give the tokens up
deed-word-incident-lose = lost
done-incident-closed = The incident is closed.
tasks = Background tasks
task-audit = Audit is proved
task-callbacks = Networks' callbacks are carried out
task-connections = Overdue connections are ended
task-deliver = Messages are sent
task-expiries = Ends of tokens are looked at
task-incidents = Incidents are followed
task-jobs = Jobs go on
task-leavings = Members' leavings are carried out
task-loads = Loads are evaluated
task-messages = Messages are counted
task-metrics = Metrics are shown
task-probes = Tokens are checked
task-prune = What is old is forgotten
task-renewals = Tokens are renewed
task-reseal = Secrets are sealed anew
task-revocations = Tokens are given back
task-tell = Events are told
task-tokens = Tokens are looked at for what people must do
ran-audit = { $count ->
    [one] 1 event holds together
   *[other] { $count } events hold together
}
ran-callbacks = { $count ->
    [0] None waits
   *[other] { $count } were waiting
}
ran-connections = { $count ->
    [0] None was overdue
   *[other] { $count } ended
}
ran-deliver = { $count ->
    [0] None was due
   *[other] { $count } taken up
}
ran-expiries = { $count ->
    [one] 1 token looked at
   *[other] { $count } tokens looked at
}, { $found ->
    [0] nothing to tell
    [one] 1 event to tell
   *[other] { $found } events to tell
}
ran-incidents = { $count ->
    [0] None is open
   *[other] { $count } open, { $tokens } more tokens in them
}
ran-jobs = { $count ->
    [0] None is under way
   *[other] { $count } went on
}
ran-leavings = { $count ->
    [0] None waits
   *[other] { $count } went on
}
ran-loads = { $count ->
    [one] 1 team
   *[other] { $count } teams
}, { $changed ->
    [0] no alert changed
    [one] 1 alert changed
   *[other] { $changed } alerts changed
}
ran-messages = { $count } wait, { $dead } were given up
ran-metrics = Shown
ran-probes = { $scheduled } scheduled, { $count ->
    [0] none due
   *[other] { $count } networks begun
}
ran-prune = Forgotten: { $what }
ran-prune-nothing = Nothing was old
pruned-alerts = { $count ->
    [one] 1 alert
   *[other] { $count } alerts
}
pruned-audit = { $count ->
    [one] 1 event of the audit
   *[other] { $count } events of the audit
}
pruned-blocks = { $count ->
    [one] 1 block of credit
   *[other] { $count } blocks of credit
}
pruned-callbacks = { $count ->
    [one] 1 callback
   *[other] { $count } callbacks
}
pruned-connections = { $count ->
    [one] 1 connection
   *[other] { $count } connections
}
pruned-dead-spans = { $count ->
    [one] 1 dead span
   *[other] { $count } dead spans
}
pruned-events = { $count ->
    [one] 1 event
   *[other] { $count } events
}
pruned-imports = { $count ->
    [one] 1 import
   *[other] { $count } imports
}
pruned-incidents = { $count ->
    [one] 1 incident
   *[other] { $count } incidents
}
pruned-jobs = { $count ->
    [one] 1 job
   *[other] { $count } jobs
}
pruned-leases = { $count ->
    [one] 1 lease
   *[other] { $count } leases
}
pruned-loads = { $count ->
    [one] 1 sample of loads
   *[other] { $count } samples of loads
}
pruned-messages = { $count ->
    [one] 1 message
   *[other] { $count } messages
}
pruned-requests = { $count ->
    [one] 1 request
   *[other] { $count } requests
}
pruned-revocations = { $count ->
    [one] 1 revocation
   *[other] { $count } revocations
}
pruned-sessions = { $count ->
    [one] 1 session
   *[other] { $count } sessions
}
pruned-usage = { $count ->
    [one] 1 row of usage
   *[other] { $count } rows of usage
}
ran-renewals = { $count ->
    [0] None was due
    [one] 1 worker began
   *[other] { $count } workers began
}
ran-reseal = { $count ->
    [one] 1 token looked at
   *[other] { $count } tokens looked at
}, { $resealed } sealed anew, { $damaged } damaged, { $deleted } data keys deleted.
ran-reseal-erasing = What was overwritten is still in the database's log.
ran-reseal-nothing = All is sealed with the newest keys
ran-reseal-own = { $count ->
    [one] 1 secret of an app, a destination or a browser does not open.
   *[other] { $count } secrets of apps, destinations and browsers do not open.
}
ran-revocations = { $count ->
    [0] None was due
   *[other] { $count } tried, { $told } done
}
ran-stopping = The broker is stopping
ran-switched-off = Switched off
ran-tell = { $count ->
    [0] None was new
    [one] 1 event told
   *[other] { $count } events told
}
ran-tokens = { $count ->
    [0] Nothing to tell
    [one] 1 event to tell
   *[other] { $count } events to tell
}
task-failed = Failed
col-task = Task
col-last-run = Last run
col-took = Took
col-runs = Runs
col-failures = Failures

networks-text = The networks of the catalogue, and the apps by which people connect accounts.
network-operations = What can be leased
col-connecting = Connecting
col-apps = Apps
col-operation = Operation
app-ready = People can connect
app-ready-elsewhere = People connect by the app “default” only: its client id and secret are missing
app-not-ready = Client id and secret are missing
app-none = none
app-id = Id here
app-name = Name for people
app-client-id = Client id at the network
app-secret = Client secret
app-secret-kept = kept sealed, never shown
app-secret-damaged = does not open: somebody changed the store, or it is damaged. Set it anew.
app-secret-new = New client secret (empty: it stays as it is)
app-secret-type = Type “{ $word }” if you set a new secret: the one before is gone then, and can't be had back
app-secret-unasked = The app has a client secret, which a new one would replace for good. Type “{ $word }” to confirm. Nothing was changed.
app-budget = Budget { $class }
app-budget-left = { $left } of { $total } left
app-topped-up = topped up
app-change = Change
app-new = Add an app
app-new-text = Register it at the network first. Tokens belong to the app by which they were granted.
app-make = Add the app
app-team = Only for the team (its id; empty: for every team; it stays so)
app-every-team = every team
app-wrong-team = There is no such team.
app-wrong-id = The id is a short name of small letters, digits and hyphens, such as “agency-two”.
app-wrong-text = Name and client id have at most { $most } characters, in one line.
app-wrong-secret = A client secret has at most 4096 bytes, without spaces and line breaks unless it is a key in PEM.
done-app-kept = Kept. It holds from now on.

pools-text = What the broker may still grant, network by network, as it is in memory now.
pool-classes = By credit class
pool-buckets = Buckets
pool-unused = Nothing was drawn from yet.
pool-token = Only those of the token
pool-no-token = There is no such token in this pool.
col-buckets = Buckets
col-bucket = Bucket
col-cap = Limits, less reserves
col-limit = Limit
col-held = Held by leases
col-cooling = Cooling
col-resets = Resets
bucket-limit = { $cap } of { $limit }
bucket-over = granted more than the limit
bucket-cooling = cooling, ends

leases-waiting = { $count ->
    [0] Nothing waits for credit
    [one] 1 request waits for credit
   *[other] { $count } requests wait for credit
}
leases-none-wait = Every request was answered at once.
leases-held = Leases that are held, the newest first
leases-none = No lease is held.
lease-calls = { $used } of { $granted } calls reported
lease-recalled = recalled
col-team = Team
col-lease = Lease
col-priority = Priority
col-waits = Waits for
col-waits-until = Gives up in
priority-low = low
priority-normal = normal
priority-high = high

letters-text = Messages that could not be sent for three days. Sent again, each is checked for truth once more and dropped if nothing of it still holds.
letters-none = No message was given up.
letters-replay = { $count ->
    [one] Send it again
   *[other] Send these { $count } again
}
letter-tells = { $count ->
    [one] 1 event
   *[other] { $count } events
}
letter-replay = Send again
letter-replay-one = Send again to { $to }
letter-delete-one = Delete the message to { $to }
deed-title-letter-delete = Delete the message
deed-text-letter-delete = Nobody is told what it says. This can't be undone.
deed-go-letter-delete = Delete
deed-word-letter-delete = delete
done-replayed = { $count ->
    [one] The message is sent again.
   *[other] { $count } messages are sent again.
}
done-letter-deleted = The message is deleted.
col-destination = Destination
col-tells = Tells of
col-made = Made
col-attempts = Attempts
col-last-error = Last error

keys-working = Only keys that work
keys-ended = Also keys that have ended
key-of-collector = Collector { $name } of { $team }
key-secret = a secret
key-own = this session's
key-never-ends = never
key-new-operator = A key for an operator
key-new-operator-text = A reader looks at everything but keys; an admin changes things, too. Give every person and program its own: then the audit tells them apart, and one can be revoked alone. Keys of collectors are made by their teams.
key-title-operator = A key for an operator
back-to-keys = To the keys
col-key = Key
col-holder = Holder
col-shown-by = Shown as
col-role = Role
sealing-title = The sealing key
sealing-text = It wraps the keys by which secrets are stored. After a change everything is sealed anew while the broker serves.
sealing-fingerprint = Fingerprint
sealing-state = Pass over all secrets
sealing-under-way = under way
sealing-done = done
sealing-looked-at = Tokens looked at
sealing-resealed = Sealed anew
sealing-damaged = That do not open
deed-title-sealing-rotate = Change the sealing key
deed-text-sealing-rotate = The old key opens nothing from then on. Have a backup of the new one: it is where the present one is kept.
deed-go-sealing-rotate = Change it
deed-word-sealing-rotate = change
deed-word-app-secret = replace
done-sealing-rotated = The sealing key is changed. Secrets are being sealed anew.

sign-in-mail = Mail address
sign-in-team = Team
sign-in-team-if = (only if you are in several; its name or its id)
sign-in-by = Sign in with { $name }
sign-in-operator = Operators sign in here
sign-in-again = Your session has ended. Sign in again: what you entered is kept.
try-again = Try again
teams-title = Which team?
teams-text = You are a member of several teams.
oidc-failed = You are not signed in
join-title = Join { $team }
join-new-password = Set a new password
join-with = You join with the mail address
join-name = Your name
join-hint = At least 12 characters. Several unrelated words are good, and easy to remember.
join-go = Join
join-set = Set password
join-failed = This did not work
mail-title = Confirm your mail address
mail-text = From then on you sign in with this address, and what was granted with it is yours. All your sessions end.
mail-go = Confirm
mail-proved = Your mail address is confirmed
mail-proved-text = Sign in with it.
mail-failed = The mail address was not confirmed
account-change = Change name, mail or time zone
account-password = Choose a new password
account-password-text = All your sessions end, and you are signed in here with the new one.
account-sessions = Your sessions
account-browser = Browser
account-origin = From
account-begun = Signed in
account-used = Used
account-this = this one
account-end = End

connect-title = Connect an account
connect-none = There is no network yet that can be connected here. An operator must first tell the broker its client at a network.
connect-which = Which account?
connect-account-itself = The account itself
connect-one = Connect { $name }
reconnect-one = Reconnect { $name }
start-need = What is needed at the network: { $what }.
start-purposes = What shall it be used for?
start-heals = Its name, settings and collections stay. Sign in at the network with the same account.
start-who = Who signs in at the network?
start-me = I do, now
start-colleague = A colleague, to whom I send a link
start-name = The colleague's name or mail address
start-name-if = (if you like)
start-go = Continue
start-other = Another network
colleague-title = Send this link
colleague-text = Send it to your colleague. It is shown only now, and leads on in the browser that follows it first. It works until { $time }.
offer-asks = asks you to connect an account at { $network }.
offer-asks-for = asks you to connect an account at { $network } for
offer-signed-in = You are signed in as
offer-heals = It was connected before and has to be connected again: sign in with the same account.
offer-need = What you need
offer-will = What it is for
offer-will-not = What it is not for
offer-password = Your password stays between you and { $network }; it is never seen here.
offer-agree = What you agree to
offer-before = Before anything is connected, you are shown which account it is. You can take your consent back in the settings of { $network }, too.
offer-go = Agree and continue to { $network }
offer-until = This works until { $time }, in this browser.
for-collect-statistics = Reading numbers: reach, followers, engagement
for-collect-content = Reading posts, comments and mentions
for-publish = Writing posts and answers in your name
for-activate = Paid promotion
for-validate = Checking that the connection still works
for-list-pages = Listing the pages and profiles that you may act for
choose-title = Is this right?
choose-consent = You gave consent at { $network }.
choose-consent-as = You gave consent at { $network } as
choose-nothing-yet = Nothing is connected yet.
choose-account-for = Connect this account for
choose-profiles-for = Choose what is connected for
choose-profiles = Which of these?
choose-obstacle = Can't be connected:
choose-held = It is connected already, and stays so.
choose-go = Connect
choose-other = Use another account
choose-nothing = Connect nothing
ended-connected = Connected
ended-text-connected = The account is connected. You can close this window.
ended-cancelled = Not connected
ended-text-cancelled = Nothing was connected, and what the network had given was thrown away. You can close this window.
ended-lapsed = Too late
ended-text-lapsed = The time for this is over. Ask for a new connect link.
go-back = Go back
away-title = On to { $name }
away-text = You are taken there now. If nothing happens, follow the link.
away-go = Continue to { $name }
trouble-sign-in = Sign in first
trouble-unknown-link = Unknown link
trouble-other-browser = Opened in another browser
trouble-not-yours = Not yours
trouble-ended = This has ended
trouble-not-now = Not now
trouble-unknown-token = Unknown token
trouble-held = Held already
trouble-held-look = Look at the token that your team holds
trouble-operator = An operator must look at this
trouble-unknown-answer = Unknown answer
trouble-used = Used already
trouble-foreign = Not from here
trouble-foreign-text = This was sent from another site. Nothing was done. Open the connect link again.
trouble-broken = Something went wrong
trouble-broken-text = The broker could not do this now. Nothing is lost: open the connect link again in some minutes.

# What goes wrong, told by the errors of the use cases.
wrong-contended = Somebody else is changing this at the same moment. Try again shortly.
wrong-other-team = This belongs to another team. Sign in as a member of that team.
wrong-needs-admin = This needs an operator who may change things. Sign in with a key of the role Admin.
wrong-needs-operator = This is for operators. Sign in with an operator's key.
wrong-action =
    { $role ->
        [owner] An owner
        [manager] A manager
       *[member] A member
    } of the team may not { $action }. Ask an owner.
wrong-give-role =
    { $role ->
        [manager] A manager
       *[member] A member
    } of the team may not give somebody that role. Ask an owner.
wrong-stand-in =
    { $role ->
        [manager] A manager
       *[member] A member
    } of the team may not make a link for somebody who granted tokens of the team: who follows it is taken for that person. Ask an owner.
wrong-collector-disabled = This collector is disabled. An owner or manager of its team enables it on its page under Collectors.
may-not-see = look at this
may-not-see-usage = see what this token was used for
may-not-see-audit = see what happened in the team
may-not-connect = connect accounts
may-not-renew = renew this token
may-not-pause = pause or resume this token
may-not-change-token = change this token
may-not-revoke = revoke this token
may-not-change-consent = change what the person agreed to
may-not-change-profile = change this profile
may-not-acknowledge = acknowledge alerts
may-not-invite = invite people
may-not-change-member = change this member
may-not-change-mail = change a mail address without the link that proves it
may-not-change-role = change roles
may-not-remove = take this member out of the team
may-not-sessions = see or end these sessions
may-not-change-collectors = make or change collectors and their keys
may-not-change-destinations = change where the team is told

wrong-no-team = There is no team “{ $team }” here.
wrong-no-network = The catalogue has no network “{ $network }”.
wrong-no-kind = “{ $network }” gives out no token of kind “{ $kind }”.
wrong-no-app = “{ $network }” has no app “{ $app }” here. See the list of its apps.
wrong-no-operation = “{ $network }” has no operation “{ $operation }”.
wrong-no-class = “{ $network }” has no class of credit “{ $class }”.
wrong-scopes = The permissions do not suffice: { $missing }.
wrong-purposes = A token of kind “{ $kind }” can't be used for: { $purposes }.
wrong-fact = No limit of “{ $network }” is worked out from “{ $fact }”: { $hint }.
wrong-over = Its time was over at { $at }. Connect the account again.
wrong-bound = A token of kind “{ $kind }” is bound to a key that was made with it and never leaves its client, so it can't be added with its secrets. Connect the account instead.
wrong-consent = The consent can't lie in the future.

wrong-no-token = Your team has no such token. See the list of its tokens.
wrong-not-agreed = The person did not agree to this, or withdrew it. Connect the account again, and let the person choose.
wrong-token-held = Your team holds this very token already. Change that one, or revoke it first.
wrong-refresh-held = This refresh token was given for another token already, and using it replaces it: two tokens with the same one would end the grant. Connect the account of this one.
wrong-revoked = The token was revoked and can't be used again. Connect the account again.
wrong-invalid = This token does not work any more. { $reason }. Connect the account again.
wrong-not-renewable = This token can't be renewed: its kind has no renewal, or its refresh token is not here. Connect the account again before it ends.
wrong-no-client = The client id and the secret of the app “{ $app }” at “{ $network }” are not known. An operator sets them under Networks and apps.
wrong-no-client-key = The app “{ $app }” at “{ $network }” shows who it is by a key, and has none. An operator makes one under Networks and apps.
wrong-renew-later = It is not renewed before { $at }: { $why }.
wait-pace = its app asks the network as often as it may
wait-looked-at = somebody else renewed it, or tried, just now
wait-no-time = it had no time yet at which it is renewed
wait-may-be-used = its refresh token works once, and the answer to the last try was lost; a second use could end the consent
wrong-incident = An incident is open at the network. Its tokens are not renewed until single calls show that the network is back; then it goes on by itself. See Alerts.
wrong-renew-refused = The network refused to renew it. { $reason }. Connect the account again.
wrong-renew-failed = It was not renewed: { $why }. It is tried again by itself at { $at }.
wrong-not-probed = The broker has no way to check tokens of this kind: the network offers none that costs nobody anything.
wrong-probe-later = It can't be checked before { $at }: its credit is used up, it rests, or others come first. It is checked by itself then.
wrong-no-job = Your team has no such job. See the list of its jobs.
wrong-job-runs = A job renews the tokens of your team at this network already. Watch it, or cancel it.
wrong-job-done = The job is done. Begin a new one to try again.

wrong-member-left = This member has left the team. Invite the person anew.
wrong-member-active = This member belongs to the team already, and can sign in.
wrong-no-member = Your team has no such member. See the list of its members.
wrong-mail-taken = Another member of the team has this mail address. Choose another, or change that member.
wrong-last-owner = The team would have no owner any more. Make another member an owner first.
wrong-not-left = This member has not left the team.
wrong-no-collector = Your team has no such collector. See the list of its collectors.
wrong-collector-held = The team has a collector named “{ $name }” already. Choose another name, or change that one.
wrong-certificate-taken = The certificate name “{ $name }” is registered already: each stands for one collector or operator.
wrong-not-idle =
    { $leases ->
        [one] The collector still holds one lease. Wait for it.
       *[other] The collector still holds { $leases } leases. Wait for them.
    }
wrong-no-key = There is no such key. See the list of keys.
wrong-last-admin = This is the last key of the role Admin. Make another one first.
wrong-no-caretaker = Who is chosen is no member of the team. See the list of its members.
wrong-no-alert = Your team has no such alert. See the list of alerts.
wrong-alert-cleared = The alert has cleared: there is nothing left to acknowledge.
wrong-no-incident = There is no such incident. See the list of incidents.
wrong-incident-over = The incident is over.
wrong-ends-no-token = An outage ends no token, so none can be given up for it. End it as recovered.

wrong-mail-control = The mail address must not have line breaks or other control characters.
wrong-mail-long = The mail address is too long.
wrong-mail-form = The mail address must be one such as ada@example.com, without a name, quotes or spaces.
wrong-settings-many = There are too many choices for single profiles. Make one for all profiles in their place.
wrong-settings-twice = There are two choices for one kind, channel and profile. Keep one of them.
wrong-settings-profile = The profile of a choice must have 1 to 200 characters, without control characters.
wrong-settings-quiet = Quiet hours begin and end between 00:00 and 23:59, and not at the same time.
wrong-no-notice = You have no such notice. See the list of your notices.
wrong-url = The receiver's address can't be used: it must be https://host/…, without a user and a password.
wrong-url-plain = The receiver's address is plain http. Use https, or ask an operator to allow private receivers.
wrong-url-address = The receiver's host has the address { $address }, which is not public. Use a public host, or ask an operator to allow private receivers.
wrong-url-port = Messages go to the ports 443 and 8443 only, not to { $port }. Use one of these, or ask an operator to name the host with its port in alerts.private_hosts.
wrong-url-lookup = The receiver's host could not be looked up. Check its name.
wrong-answered = The receiver answered { $status }.
wrong-no-answer = The receiver did not answer in time.
wrong-on-its-way = The message failed on its way to the receiver.
wrong-no-destination = Your team has no such destination. See the list of its destinations.
wrong-many-destinations = Your team has as many destinations as it can have. Delete one first.
wrong-signing-secret = A webhook's signing secret is “whsec_” and the base64 of 24 to 64 bytes. Make one with: openssl rand -base64 32
wrong-signing-secrets = A signed webhook has one signing secret, or two while they change. Other destinations have none.
wrong-test-not-sent = The test message did not arrive: { $why }.
wrong-no-browser = You have no such browser here. See the list of your browsers.
wrong-browser-keys = What this browser gave to be told by can't be used. Try once more; if it stays so, use another browser.
wrong-many-browsers = You are told in as many browsers as one can be. Remove one that you do not use any more.

wrong-password-short = The password must have at least { $least } characters. Three or four words are easy to remember.
wrong-password-long = The password must have at most { $most } characters.
wrong-password-control = The password must not have control characters, such as line breaks.
wrong-password-about-you = The password must not contain your name, your mail address or your team's name. Choose something else.
wrong-password-guessable = This password is too easy to guess: it is common, was leaked, or follows a pattern. Choose several unrelated words.
wrong-password-breached = This password was leaked somewhere, and is among those that are tried first. Choose another.
wrong-team-choice = Which team was meant was said too late, or once before. Sign in again.
wrong-sign-in = This mail address and this password don't belong together. Check both, and name your team if you are in several. If you forgot the password, ask an owner of your team for a new link.
wrong-operator-key = This is no operator's key that works. Check that all of it was pasted. An operator who may change things makes one with: token-broker key create --role reader
wrong-too-often =
    { $seconds ->
        [one] There were too many tries. Wait a second, then try again.
       *[other] There were too many tries. Wait { $seconds } seconds, then try again.
    }
wrong-join-link = This link can't be used any more: it was used, replaced, withdrawn, or is older than 7 days. Ask for a new one.
wrong-mail-link = This link can't be used any more: it was used or replaced, or is older than 24 hours. Ask for the address once more on your page in Members.
wrong-no-mail = A new mail address is proved by a link that is sent to it, and this broker sends no mail. An owner of the team or an operator can change the address.
wrong-link-not-sent = The link could not be sent ({ $why }), so the address stays as it was. Check the new one, then try again.
wrong-oidc-none = Members sign in with their mail address and password here.
wrong-oidc-answer = This belongs to no sign-in that was begun in this browser, was used already, or came too late. Sign in again.
wrong-oidc-denied = You were not signed in there. Sign in again, or with your password.
wrong-oidc-unreachable = The sign-in service can't be used now ({ $why }). Try again shortly, or sign in with your password.
wrong-oidc-set-up = Signing in by the sign-in service is not set up properly ({ $why }). Tell an operator.
wrong-oidc-not-believed = What the sign-in service says of you can't be believed ({ $why }). Sign in again; if it stays so, tell an operator.
wrong-oidc-unverified = The sign-in service does not say that your mail address is verified, so it can't be known which member you are. Have it verified there, or ask an owner of your team for a link to sign in with a password.
wrong-oidc-no-member = Nobody with your mail address is a member of a team here. Ask an owner of your team to invite you with that address.
wrong-oidc-bound = The member with your mail address is bound to another account of the sign-in service. Sign in there with that one, or ask an owner of your team.
wrong-oidc-team = You are a member of several teams. Say which one.

wrong-connect-link = This connect link is not known. Ask for a new one.
wrong-connect-browser = This connect link was opened in another browser. Go on there, or ask for a new one.
wrong-connect-signed-out = This is a member's own. Sign in first; you come back here.
wrong-connect-other = This is another member's. Sign in as that member, or ask for a connect link of your own.
wrong-connect-text = The text that you agree to was changed since this page was shown. Read it again.
wrong-connect-left = A member without whom this goes no further has left the team. Ask for a new connect link.
wrong-connection-ended = This has ended. Start again.
wrong-answer-used = The network's answer was used already. If the account is not among the tokens yet, start again.
wrong-answer-late = The network's answer came too late. Start again.
wrong-no-agreement = Nobody has agreed yet. Go back one page and begin there.
wrong-answer-unknown = This answer belongs to nothing that was started here. Start again.
wrong-answer-browser = This answer belongs to another browser. Go on in the browser in which you began, or ask for a new connect link.
wrong-choice-none = Choose at least one of the profiles.
wrong-choice-unknown = “{ $profile }” is none of the profiles that can be connected here. Choose from the list.
wrong-choice-obstacle = “{ $profile }” can't be connected: { $obstacle }.

hindered-refused = { $why } { $network } said: { $said }
refusal-denied = Consent was not given. If that was a mistake, begin again and agree.
refusal-known = { $about } Whoever administers the account must allow it, or an operator connect another app.
refusal-scopes = The app may not ask for these permissions: an operator must have them approved at the network, or ask for fewer.
refusal-app = The network refused. An operator must look at how the app is registered there (client id, redirect address).
refusal-trouble = The network has trouble. Begin again in some minutes; if it happens again, tell an operator.
hindered-other-issuer = The answer says that it comes from somebody else than { $network }. Nothing was connected. Begin again; if it happens again, tell whoever sent you here.
hindered-no-issuer = The answer does not say that it comes from { $network }. Nothing was connected. Begin again; if it happens again, tell whoever sent you here.
hindered-no-code = { $network } said neither yes nor no. Begin again.
hindered-tokens-silent = { $network } did not give the tokens: { $why }. Begin again in some minutes.
hindered-tokens-refused = { $network } did not give the tokens: it answered { $status }. Begin again.
hindered-app-refused = { $network } did not give the tokens: it answered { $status }. An operator must look at the app's client id and secret, and at its redirect address at the network.
hindered-tokens-unreadable = { $network } did not give the tokens: { $why }. Begin again.
hindered-scopes = Some of the permissions were not granted: { $scopes }. Without them this can't be done: { $purposes }. Begin again and leave them switched on.
hindered-unaskable = { $network } can't be asked for tokens as it is described in the catalogue. Tell an operator.
hindered-unbound = { $network } gave tokens that are bound to no key, though they must be. Nothing was connected. Tell an operator.
hindered-nobody = { $network } did not say whose account it is. Nothing was connected. Tell an operator.
hindered-broker = The broker could not go on: { $why }. Tell an operator.
hindered-silent = { $network } could not be asked whose account this is: { $why }. Begin again.
hindered-account = The account “{ $account }” of { $network } can't be used. { $otherwise } Then begin again.
hindered-no-account = { $network } tells of no account that could be used. { $otherwise } Then begin again.
hindered-other-account = { $other } Sign in at { $network } as { $held }, then begin again.
hindered-other-account-of-profile = { $other } Sign in at { $network } with an account that can act for “{ $held }”, then begin again.
other-account = This is another account than the one that is to be reconnected.
other-account-gave = This is another account than the one that is to be reconnected: { $gave } gave consent.
hindered-no-profile = { $network } was connected, but there is none that you can act for, or you left all of them out when you gave consent. What is needed: { $native }. Then begin again.
hindered-no-rights = { $network } was connected, but you can act for none with the rights that are needed: { $obstacle }. What is needed: { $native }. Then begin again.
hindered-not-its-own = { $network } and the account's server say different things about whose account it is. Nothing was connected. Tell an operator.
hindered-no-identifier = { $network } names the account “{ $account }”, which is no identifier of one. Tell an operator.
hindered-no-server = The account “{ $account }” names no server on which it lives. Mend its identity document, then begin again.
hindered-no-granter = The account's server { $server } does not say who grants its tokens. Ask whoever runs it.
hindered-other-granter = The account “{ $account }” lives on { $server }, whose tokens are granted by { $issuer } and not by { $network }. An operator can describe that server in a catalogue file of its own, with its addresses; then connect the account there.
hindered-server-silent = It could not be found out on which server the account of { $network } lives: { $why }. Begin again in some minutes.
hindered-earlier = { $message }
not-told-account-limit = The account's limit at { $network } is used up. { $again }
not-told-app-limit = The limit that { $network } sets the app is used up. { $again }
again-in = { $minutes ->
    [one] Begin again in one minute.
   *[other] Begin again in { $minutes } minutes.
}
again-later = Begin again later.
not-told-app = { $network } does not let the app ask whose account this is. An operator must look at how the app is registered there.
not-told-permission = { $network } says that a permission is missing to see whose account this is. Begin again and leave all of them switched on.
not-told-unusable = This account of { $network } can't be used. { $otherwise } Then begin again.
not-told-held-back = { $network } holds this account back. Sign in at { $network } and do what it asks for. Then begin again.
not-told-token = { $network } does not accept the token that it has just given. Begin again, and agree once more.
not-told-unclear = { $network } could not say whose account this is. Begin again in some minutes.
between = {", "}
between-sentences = {" "}
sentences = { $all }
obstacle-no-token = the network gave no token for it; allow this profile, too, when you give consent
obstacle-role = your role there does not suffice; needed is { $needs }. Ask its administrator for it
obstacle-role-native = your role there does not suffice; needed is { $needs } ({ $native }). Ask its administrator for it
obstacle-need = { $roles } for “{ $purpose }”
obstacle-of-another = the token to be healed is of another profile; connect this one by itself
obstacle-earlier = { $message }
wrong-not-connectable = Tokens of kind “{ $kind }” of “{ $network }” can't be connected in a browser: { $why }.
not-connectable-granted = no person grants them; an operator adds them with their secrets
not-connectable-oauth1 = their consent is that of OAuth 1.0a, which is not supported; an operator adds them with their secrets
not-connectable-endpoint = nobody has published where the consent is given; an operator names it in a catalogue file of your own
not-connectable-instances = their addresses differ from instance to instance; an operator writes a catalogue file with those of yours
wrong-no-url = The broker does not know under which address it is reached. An operator sets http.public_url.
wrong-return-url = Browsers may not be sent there. An operator names the address in connections.return_urls.
wrong-no-purpose = Say what the tokens will be used for: the person agrees to these purposes and no others.
wrong-other-kind = The token to be mended is of another network or kind. Start again from that token.
wrong-not-pushed = { $network } lets nobody be sent there now: { $why }. Try again in some minutes.
wrong-push-refused = { $network } lets nobody be sent there: it answered { $status }. An operator must look at the app: the network reads its document at its client id, which must be reachable from there and name this key and redirect address.

wrong-no-lease = There is no such lease. It has ended, or was another broker's.
wrong-no-letter = There is no such message that was given up. It was sent again, or deleted.
wrong-app-held = The network has an app “{ $app }” already. Choose another id, or change that app.
wrong-app-used =
    { $tokens ->
        [one] The app “{ $app }” has a token that is not revoked. Revoke it first.
       *[other] The app “{ $app }” has { $tokens } tokens that are not revoked. Revoke them first.
    }
wrong-app-default = A network always has the app “default”. Change it instead, such as to an empty client id and secret.
wrong-no-budget = The network has no class of credit “{ $class }” with a budget.
wrong-units = The budget holds { $total } units in all. What is added must leave no less than nothing, and no more than a number holds.
wrong-client-key = Apps of this network show who they are by a key, and the client secret can't be one: { $why }.
wrong-no-client-keys = Apps of this network have a client secret, which the network gives out, and no key. Set that secret.
wrong-no-next-key = The sealing key comes from the environment, so the next one must, too. Start the broker with the new key in TOKEN_BROKER__VAULT__NEXT_KEY beside the present one, then ask again.
wrong-same-key = The next sealing key is the present one. Set TOKEN_BROKER__VAULT__NEXT_KEY to a new key.
wrong-sealing-key = The sealing key can't be used: { $why }.

# What a person is told who asked a network to have its data deleted

deletion-done = The tokens that you had given were destroyed on { $at }.
deletion-under-way = Your request of { $at } is being carried out.
deletion-unknown = There is no such request.
