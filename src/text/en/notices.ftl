# The words of notices in English: what people are told by mail, in chats, in browsers and in the console.
#
# The value of a notice is its subject. Its attributes say what happened, why, what it stops, and what to do: whole sentences. What asks
# nobody to do anything begins what is to do with "Nothing."

-reconnect = Reconnect the account. Its settings, collections and history stay as they are.
-goes-on = Nothing: collecting goes on by itself.

# Times in full

time-in-full = { $weekday }, { $day } { $month } { $year }, { $time } { $zone }
weekday-1 = Monday
weekday-2 = Tuesday
weekday-3 = Wednesday
weekday-4 = Thursday
weekday-5 = Friday
weekday-6 = Saturday
weekday-7 = Sunday
month-1 = January
month-2 = February
month-3 = March
month-4 = April
month-5 = May
month-6 = June
month-7 = July
month-8 = August
month-9 = September
month-10 = October
month-11 = November
month-12 = December

# What stands around notices

message-why = Why
message-stops = What it stops
message-todo = What to do
message-part = { $name }: { $text }
message-more = And { $count } more.
message-subject = { $count ->
    [0] { $first }
    [one] { $first }, and 1 more notice
   *[other] { $first }, and { $count } more notices
}
message-choose = Choose what you hear
message-since = You get this since you look after tokens.
message-language = en

# Where notices lead

notice-link-account = Reconnect the account
notice-link-accounts = Reconnect the accounts
notice-link-broker = Look at the broker
notice-link-credit = Look at the credit
notice-link-destination = Look at the destination
notice-link-incident = Look at the incident
notice-link-load = Look at the load
notice-link-pool = Look at the pool
notice-link-spending = See what the broker used
notice-link-token = Look at the token
notice-link-tokens = Look at the tokens
notice-link-mail = Confirm this address

# One token

notice-token-expiring = { $network } token "{ $token }" ends within { $days ->
    [one] 1 day
   *[other] { $days } days
}
    .happened = The { $network } token "{ $token }" ends on { $at }.
    .why = { $why }
    .stops = From then on nothing is collected with it.
    .todo = Reconnect the account before that. Its settings, collections and history stay as they are.
ends-access = The network gave it for a fixed time, and nothing renews it by itself.
ends-refresh = The network ends each permission after a fixed time; only a person can give it again.
ends-data-access = The network ends the access to a person's data when the person has not used the app for long.

notice-token-unrenewed = { $network } token "{ $token }" can't be renewed now, and ends soon
    .happened = The { $network } token "{ $token }" can't be renewed now, and ends on { $at }.
    .why = Renewing it has not gone well so far. It is tried further.
    .stops = From then on nothing is collected with it, unless it is renewed meanwhile.
    .todo = Look whether the network has trouble. If it has none, reconnect the account: its settings, collections and history stay as they are.

notice-token-expired = { $network } token "{ $token }" has expired
    .happened = The { $network } token "{ $token }" has expired.
    .why = Its time was over, and nothing renewed it.
    .stops = Nothing is collected from { $network } with it, and leases for it are refused.
    .todo = { -reconnect }

notice-token-invalid = { $network } token "{ $token }" does not work any more
    .happened = The { $network } token "{ $token }" does not work any more, since { $at }.
    .why = { $why }
    .stops = Nothing is collected from { $network } with it, and leases for it are refused.
    .todo = { $todo }
died-expired = Its time was over, and nothing renewed it.
    .todo = { -reconnect }
died-password-changed = The account's password was changed, which ends all permissions.
    .todo = { -reconnect }
died-permission-lost = The person lost a role or a permission at the network.
    .todo = Have somebody with the rights give them back, then reconnect the account.
died-revoked-by-person = The person removed the app at the network.
    .todo = If that was not meant, reconnect the account.
died-person-blocked = The network blocked the account, or wants its owner to confirm something.
    .todo = Sign in at the network and do what it asks for, then reconnect the account.
died-app-disabled = The network disabled the app through which it was connected.
    .todo = Look at the app at the network: reconnecting helps only once it works again.
died-platform-reset = The network reset its tokens.
    .todo = { -reconnect }
died-refresh-rejected = The network refused to renew it.
    .todo = { -reconnect }
died-not-accepted = The network does not accept it any more, and does not say why.
    .todo = { -reconnect }
died-secret-damaged = What the broker stored of it was damaged and does not open.
    .todo = Reconnect the account, and have an operator look at the store.

notice-needs-reconnecting-by = { $network } token "{ $token }" must be connected again
    .happened = The { $network } token "{ $token }" must be connected again.
    .why = { $why }.
    .stops = It works until { $by }; after that nothing is collected with it.
    .todo = { -reconnect }
notice-needs-reconnecting = { $network } token "{ $token }" must be connected again
    .happened = The { $network } token "{ $token }" must be connected again.
    .why = { $why }.
    .stops = It still works. Once the network insists, nothing is collected with it.
    .todo = { -reconnect }

notice-permission-lost = { $network } token "{ $token }" lost a permission
    .happened = The { $network } token "{ $token }" lost a permission at the network.
    .why = { $why }.
    .stops = What is collected by { $operations }. All else goes on.
    .todo = Have somebody with the rights give them back, then reconnect the account.

need-permission = { $network } refuses { $operations } for want of a permission or a role
need-scopes = { $network } requires { $scopes }: { $about }
need-grant-ends = { $network } ends the grant, and no renewal prolongs it
need-unknown = { $network } asks for it

notice-token-blocked = { $network } blocks the account of token "{ $token }" for a time
    .happened = { $network } blocks the account of the token "{ $token }", since { $at }.
    .why = The network takes what was done with the account for a breach of its rules, or for spam.
    .stops = Nothing is collected with it meanwhile. It is tried again by itself.
    .todo = Sign in at the network and do what it asks for there. If it asks for nothing, wait.

notice-token-renewed = { $network } token "{ $token }" works again
    .happened = The { $network } token "{ $token }" works again.
    .why = The trouble that you were told of is over: it was renewed, or the network accepts it again.
    .stops = { -goes-on }
    .todo = Nothing.

notice-token-connected = { $network } account "{ $token }" was connected
    .happened = The { $network } account "{ $token }" was connected.
    .why = A member of the team connected it.
    .stops = { -goes-on }
    .todo = Nothing. If nobody of the team should have done this, revoke the token.
notice-token-healed = { $network } account "{ $token }" was connected again
    .happened = The { $network } account "{ $token }" was connected again and works.
    .why = A member of the team connected it.
    .stops = { -goes-on }
    .todo = Nothing. If nobody of the team should have done this, revoke the token.

notice-out-of-band-spending = Somebody else uses the { $network } account "{ $token }"
    .happened = { $credits } credits ({ $class }) of the { $network } token "{ $token }" were spent outside of the broker.
    .why = Another program, or a person, uses the same account, so less of its allowance is left than was planned.
    .stops = Less is collected with it until the network counts anew.
    .todo = Find out what else uses the account. If nobody should, change its password and reconnect it.

notice-retention-delete = What was collected with { $network } token "{ $token }" { $left }
    .happened = What was collected with the { $network } token "{ $token }" { $left }: the time { $stage ->
        [over] ended
       *[other] ends
    } on { $at }.
    .why = { $terms }
    .stops = The collected data of its profiles.
    .todo = { $stage ->
        [over] Delete the data. Connecting the account again does not bring it back.
       *[other] Reconnect the account before that, or delete the data.
    }
retention-delete-started = must be deleted unless it is reconnected
retention-delete-three-days = must be deleted in 3 days
retention-delete-one-day = must be deleted in 1 day
retention-delete-over = must be deleted now

notice-retention-authorise = The account of { $network } token "{ $token }" { $left }
    .happened = The account of the { $network } token "{ $token }" { $left }: the time { $stage ->
        [over] ended
       *[other] ends
    } on { $at }.
    .why = { $terms }
    .stops = Collecting with it; and what was collected with it may not be kept after that.
    .todo = { $stage ->
        [over] Delete the data, unless the terms let you keep it.
       *[other] Reconnect the account before that.
    }
retention-authorise-started = must be authorised anew
retention-authorise-three-days = must be authorised anew within 3 days
retention-authorise-one-day = must be authorised anew within 1 day
retention-authorise-over = was not authorised anew in time

retention-terms = The terms of { $network }: { $rules }
retention-terms-unknown = The terms of { $network } ask for it once a person's permission is gone for that long.

# Loads

notice-load-opened = Token load too high at { $network }
    .happened = { $message }
    .why = { $level ->
        [critical] More is asked for than the team's tokens can give ({ $class }).
       *[warning] Nearly as much is asked for as the team's tokens can give ({ $class }).
    }
    .stops = { $level ->
        [critical] Collecting falls behind: requests wait, or are refused.
       *[warning] Nothing yet. If a little more is asked for, requests wait, or are refused.
    }
    .todo = { $todo }
notice-load-raised = Token load at { $network } is critical now
    .happened = { $message }
    .why = More is asked for than the team's tokens can give ({ $class }).
    .stops = Collecting falls behind: requests wait, or are refused.
    .todo = { $todo }
notice-load-lowered = Token load at { $network } is still too high, but no longer critical
    .happened = { $message }
    .why = Nearly as much is asked for as the team's tokens can give ({ $class }).
    .stops = Nothing yet. If a little more is asked for, requests wait, or are refused.
    .todo = { $todo }
load-unknown = The token load at { $network } is too high.

notice-load-cleared = Token load at { $network } is fine again
    .happened = The token load at { $network } ({ $class }) is no longer too high.
    .why = The team's tokens carry what is asked for.
    .stops = Nothing.
    .todo = Nothing.

notice-no-access-tokens = No usable { $network } token
    .happened = { $message }
    .why = There is demand ({ $class }), and no token of the team may serve it.
    .stops = All collecting from { $network } that needs one.
    .todo = { $todo }
no-token-unknown = The team has no usable { $network } token.
    .todo = Connect or reconnect an account of this network.

notice-access-tokens-again = { $network } tokens are there again
    .happened = There is a usable { $network } token again, or nobody asks for one.
    .why = An account was connected, renewed or resumed, or demand ended.
    .stops = Nothing.
    .todo = Nothing.

todo-add-tokens = Connect more accounts of this network, or collect less, as said above.
todo-add-tokens-up-to = Connect more accounts of this network and collect less, as said above.
todo-adds-nothing = Collect less, or have the limit raised at the network: more accounts do not help.
todo-nothing = Look at the load. If it stays as it is now, this ends by itself.
todo-wait = Wait until the incident is over, for which tokens rest. More accounts do not help meanwhile.
todo-none-connected = Connect an account of this network.
todo-all-expired = Reconnect the accounts of this network.
todo-all-invalid = Reconnect the accounts of this network.
todo-all-paused = Have a manager resume one of the tokens.
todo-all-blocked = Sign in at the network with the accounts that it blocks, and do what it asks for.
todo-permission-lost = Have the permission or role given back at the network, then reconnect an account.
todo-none-of-kind = Connect an account of the kind that the call needs.
todo-none-for-purpose = Reconnect an account, and agree to the purpose that is asked for.
todo-none-with-scopes = Reconnect an account, and grant the permissions that the call needs.
todo-none-for-profile = Have somebody connect the profile who manages it.

# What an app's tokens share

notice-app-spending = Somebody else spends the credit of the app "{ $app }" at { $network }
    .happened = { $credits } credits ({ $class }) of the app "{ $app }" at { $network } were spent outside of the broker.
    .why = Another program uses the app "{ $app }", or a collector makes calls that it does not report.
    .stops = Less is collected with all tokens that share it until the network counts anew.
    .todo = Find out what else uses the app "{ $app }" at { $network }.
notice-address-spending = Somebody else spends the credit of the broker's address at { $network }
    .happened = { $credits } credits ({ $class }) of the broker's address at { $network } were spent outside of the broker.
    .why = Another program uses the broker's address, or a collector makes calls that it does not report.
    .stops = Less is collected with all tokens that share it until the network counts anew.
    .todo = Find out what else uses the broker's address at { $network }.

notice-operation-refused = { $network } refuses { $operation } to everybody who asks
    .happened = { $network } refuses { $operation }, whichever token of the app "{ $app }" it is asked with.
    .why = The app lacks an access level or a permission for it at the network, or collectors ask for what nobody may see.
    .stops = Calls of { $operation } through this app. The tokens stay as they are, and other operations go on.
    .todo = { $reader ->
        [team] Look at what the collectors ask for. If that is in order, an operator must look at the app: no token helps by being connected again.
       *[operators] Look at the app's access level at the network, and at what collectors ask for.
    }

# Incidents

notice-network-reset = Many { $network } tokens fail at once
    .happened = Many tokens of { $network } (app "{ $app }") stopped working at once.
    .why = One cause hit them all: it lies with the network or the app, not with single accounts.{ $before }
    .stops = Collecting from { $network } with these tokens. Messages about single ones are held back meanwhile.
    .todo = Look at the incident before anybody reconnects: most tokens may come back by themselves.
notice-app-disabled = { $network } refuses the app "{ $app }"
    .happened = { $network } refuses the app "{ $app }", whatever the token.
    .why = The network disabled the app, or its registration there is not in order.{ $before }
    .stops = Collecting from { $network } with the app's tokens. Messages about single ones are held back meanwhile.
    .todo = { $reader ->
        [team] Wait for an operator, who must look at the app: to reconnect helps only once it works again.
       *[operators] Look at the app's registration at the network, and set it right there.
    }
notice-provider-outage = { $network } is down
    .happened = { $network } fails or does not answer, whoever calls it through the app "{ $app }".
    .why = The trouble is the network's own.{ $before }
    .stops = Calls go on, and mostly fail. Tokens are not renewed, and messages about single ones are held back meanwhile.
    .todo = Nothing. Collecting and renewing go on by themselves once the network answers.
before-network-reset = {" "}Until now it was taken for a reset of tokens.
before-app-disabled = {" "}Until now it was taken for a refusal of the app.
before-provider-outage = {" "}Until now it was taken for an outage.

notice-incident-served = The incident at { $network } is over: its tokens work again
    .happened = The incident at { $network } is over: its tokens work again.
    .why = The network serves them again.
    .stops = Nothing more: collecting goes on by itself.
    .todo = Nothing. The tokens that had been called dead meanwhile are checked once more; you hear of each that does not work.
notice-incident-let-go = The incident at { $network } is over: its tokens are let through again
    .happened = The incident at { $network } is over: its tokens are let through again.
    .why = An operator closed it, or no token was left by which more could be learnt of it.
    .stops = Nothing more: collecting goes on by itself.
    .todo = Nothing. The tokens that had been called dead meanwhile are checked once more; you hear of each that does not work.
notice-incident-lost = The incident at { $network } is over: its tokens are lost
    .happened = The incident at { $network } is over, and the tokens that it hit do not come back by themselves.
    .why = { $why }
    .stops = Nothing is collected from { $network } with them, and leases for them are refused.
    .todo = { $todo }
notice-many-lost = { $count } { $network } tokens do not work any more
    .happened = { $count } { $network } tokens stopped working at once, and do not come back by themselves.
    .why = { $why }
    .stops = Nothing is collected from { $network } with them, and leases for them are refused.
    .todo = { $todo }
lost-platform-reset = The network reset its tokens.
    .todo = Reconnect the accounts that do not work. Their settings, collections and history stay as they are.
lost-app-disabled = The network disabled the app through which they were connected.
    .todo = Look at the app at the network first; once it works again, reconnect the accounts.

# What the broker is set up with

notice-secret-damaged = What is stored of { $name } is damaged
    .happened = What the broker stored of { $name }, sealed, does not open.
    .why = Somebody changed the store, or it is damaged.
    .stops = What needs it: through an app no account is connected and no token is renewed, and to a destination nothing is sent.
    .todo = Set it anew, and find out who changed the store. What could not be sent meanwhile is tried again, and then kept as a dead letter.
notice-destination-gone = Nothing is sent to "{ $name }" any more
    .happened = The receiver of the destination "{ $name }" says that it is not there any more.
    .why = It answered a message with 410 (Gone).
    .stops = All that the team is told there.
    .todo = Change the destination, or send it a test once its receiver is there again. If it is of no use any more, delete it.

# Messages that are no notices

notice-test = A test of Token Broker
    .happened = Somebody asked for this message, to see whether it arrives.
    .why = It is a test.
    .stops = Nothing.
    .todo = Nothing.
notice-mail-to-prove = Confirm your mail address for Token Broker
    .happened = The member with the address { $mail } asks to use this address from now on.
    .why = Tokens belong to whoever has the address that granted them, so an address is proved before it is used.
    .stops = Nothing: until it is confirmed, the address before stays.
    .todo = If it was you, open the link within 24 hours and confirm. If not, do nothing.
