# Sessions in shared memory: what strangers cost, what goes when a zone is full and what is said about it, and when a
# session is over.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $op = OIDC::Provider->new(tls => 0);
my %options = (
    my_idp => 'session_store one;', short => 'session_store two; session_timeout 2s;', long => 'session_store two;',
    brief => 'session_timeout 3s;', most => 'session_timeout 1h; session_max_age 3s;',
);
my @names = sort keys %options;
my ($ngx, undef, $browser) = site(
    op => $op,
    conf => 'keyval_zone zone=one:64k; keyval_zone zone=two:64k; '
        . join('', map { provider_conf($op, name => $_, provider => "cookie_name S_$_; redirect_uri /back_$_; $options{$_}") } @names)
        . 'server { listen 127.0.0.1:%%PORT_site%%; server_name localhost; location = /open { return 204; } location = /status { auth_oidc_status; }'
        . join('', map { " location /$_/ { auth_oidc $_; try_files /none =204; }" } @names) . '}',
);

sub use_of { my ($name) = @_; my ($one) = grep { $_->{name} eq $name } @{ $browser->get('/status', kind => 'none')->json->{providers} }; return $one }
sub visitor { my ($name) = @_; my $who = $browser->fresh; $who->login("/$name/", until => 'callback')->is_redirect or die "no login\n"; return $who }
sub alive { my ($who, $name) = @_; return $who->get("/$name/")->status == 204 ? 1 : 0 }
# The clock of nginx counts seconds: this many of them pass.
sub seconds { my ($count) = @_; my $end = time + $count + 1; OIDC::Nginx::wait_until(sub { time >= $end }, 60); return }

# ---- strangers ----

{
    my $known = visitor('my_idp');
    my $before = use_of('my_idp');
    my ($begun, $refused) = (0, 0);
    my $stranger = $browser->fresh;
    for my $i (1 .. 500) {
        $stranger->cookies->clear;
        $begun++ if $stranger->get("/my_idp/$i", keepalive => 1)->is_redirect;
        my $state = random_token();
        $stranger->cookies->put('S_my_idp', random_token());
        $refused++ if $stranger->get("/back_my_idp?code=x&state=$state", keepalive => 1)->status == 400;
    }
    is_deeply [$begun, $refused], [500, 500], '1,000 requests of strangers: each is answered';
    my $after = use_of('my_idp');
    is_deeply [@$after{qw(sessions store_bytes_used sessions_evicted)}], [@$before{qw(sessions store_bytes_used sessions_evicted)}], 'and nothing is kept of them';
    ok alive($known, 'my_idp'), 'who was there is there';
}

# ---- a zone that is full: the least recently used one goes ----

my $room = 0;
{
    my @first = map { visitor('my_idp') } 1 .. 3;
    seconds(1);
    ok alive($first[0], 'my_idp'), 'the first one comes again';
    while (use_of('my_idp')->{sessions_evicted} == 0) {
        $room = use_of('my_idp')->{sessions};
        visitor('my_idp');
    }
    cmp_ok $room, '>', 10, 'the zone had room for some sessions';
    visitor('my_idp') for 1 .. 2;
    is_deeply [map { alive($_, 'my_idp') } @first], [1, 0, 0], 'full: those who were not seen for longest go, and nobody else';
    is use_of('my_idp')->{sessions_evicted}, 3, 'as many as came';
    is use_of('my_idp')->{sessions}, $room, 'the zone stays full';
    my @said = $ngx->error_log =~ /^\S+ \S+ \[warn\] \S+ (?:\*\d+ )?auth_oidc: zone "one" is full, (\d+) sessions were dropped: raise its size above (\d+)k/mg;
    is scalar @said, 2, 'one warning for a minute, not one each';
    cmp_ok $said[1] // 0, '>=', 64, 'with the size to set';
}

# ---- what is over goes first ----

{
    my $first = visitor('long');
    my @over = map { visitor('short') } 1 .. 5;
    ok OIDC::Nginx::wait_until(sub { !alive($over[-1], 'short') }), 'some sessions are over';
    my @living = map { visitor('long') } 2 .. $room - 2;
    is_deeply [grep { !alive($_, 'long') } $first, @living], [], 'sessions that are over make room first: all others live';
    is use_of('long')->{sessions_evicted}, 0, 'nobody was dropped';
    unlike $ngx->error_log, qr/zone "two" is full/, 'and nothing is said';
}

# ---- the end of a session ----

for my $case (['brief', 'session_timeout'], ['most', 'session_max_age']) {
    my ($name, $directive) = @$case;
    my $who = visitor($name);
    ok alive($who, $name), "$directive: signed in";
    my $started = time;
    ok OIDC::Nginx::wait_until(sub { !alive($who, $name) }, 30), "$directive: use does not put off the end";
    cmp_ok time - $started, '>=', 2, "$directive: which does not come early";
    my ($id) = map { $_->{value} } grep { $_->{name} eq "S_$name" } $who->cookies->all;
    ok defined $id, "$directive: though the browser still has its cookie";
}

# ---- ids that nobody gave out ----

{
    my $who = visitor('long');
    my $id = $who->cookies->find('S_long')->{value};
    my %wrong = (
        'one character more' => $id . 'A', 'one less' => substr($id, 0, -1), 'another first one' => ($id =~ /^A/ ? 'B' : 'A') . substr($id, 1),
        'another last one' => substr($id, 0, -1) . ($id =~ /E$/ ? 'I' : 'E'), 'empty' => '', 'quoted' => qq("$id"), 'of blanks' => ' ' x 43, '4 KB' => 'A' x 4000, 'percent' => $id =~ s/^(.)/sprintf '%%%02X', ord $1/er,
    );
    for my $name (sort keys %wrong) {
        is $browser->fresh->get('/long/', cookies => "S_long=$wrong{$name}")->status, 302, "an id $name: nobody";
    }
    is $browser->fresh->get('/brief/', cookies => "S_brief=$id")->status, 302, 'an id of another provider: nobody';
    is $browser->fresh->get('/my_idp/', cookies => "S_my_idp=$id")->status, 302, 'nor one of another zone';
    is $browser->fresh->get('/short/', cookies => "S_short=$id")->status, 302, 'nor one of the same zone, though issuer and client are the same';
}

done_testing;
