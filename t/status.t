# auth_oidc_status: counters and health, as JSON and as Prometheus text.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use OIDC::Test;

my ($ngx, $op, $browser) = site(
    nginx  => { workers => 2 },
    server => 'location = /status { auth_oidc off; auth_oidc_status; }',
);

sub status { return get('/status', kind => 'none')->json }

my $before = status();
is $before->{logins_started}, 0, 'nobody has come yet';
is_deeply [map { $_->{name} } @{ $before->{providers} }], ['my_idp'], 'every provider is there';
is $before->{providers}[0]{sessions}, 0, 'no session';

login('/app') for 1 .. 3;
my $after = status();
is $after->{logins_started}, 3, 'logins started';
is $after->{logins_finished}, 3, 'logins finished';
is $after->{providers}[0]{sessions}, 3, 'sessions';
ok $after->{providers}[0]{healthy}, 'the provider is healthy';
like $after->{providers}[0]{keys_age}, qr/^\d+$/, 'age of the keys';
cmp_ok $after->{providers}[0]{store_bytes_used}, '<', $after->{providers}[0]{store_bytes}, 'room in the zone';

get('/oidc_callback?state=none&code=x');
is status()->{logins_failed_browser}, 1, 'a failed login, by whose fault: the browser';
$op->with(token => { status => 500 }, sub { login('/app') });
is status()->{logins_failed_provider}, 1, 'the provider';
$op->with(callback => { error => 'access_denied' }, sub { login('/app') });
is_deeply [@{ status() }{qw(logins_failed_browser logins_failed_provider logins_failed_us)}], [2, 1, 0], 'and who says no himself';
is_deeply status()->{login_failures}, { ticket_missing => 1, token_unavailable => 1, login_denied => 1 }, 'each by the rule that was broken';
is status()->{store_calls}, 0, 'a zone answers at once';
is status()->{providers}[0]{store}, 'zone', 'the kind of store';

my $answer = get('/status?format=prometheus', kind => 'none');
like $answer->header('Content-Type'), qr{^text/plain; version=0\.0\.4}, "Prometheus' own type";
my $text = $answer->body;
like $text, qr/^auth_oidc_logins_started_total 5$/m, 'a counter';
like $text, qr/^auth_oidc_logins_failed_total\{fault="browser"\} 2$/m, 'a counter with a label';
like $text, qr/^auth_oidc_login_failures_total\{reason="token_unavailable"\} 1$/m, 'a reason';
like $text, qr/^auth_oidc_sessions\{provider="my_idp"\} 3$/m, 'a gauge of a provider';
like $text, qr/^auth_oidc_provider_up\{provider="my_idp"\} 1$/m, 'health';
my (%typed, @wrong);
for my $line (split /\n/, $text) {
    if ($line =~ /^# TYPE (\w+) (counter|gauge)$/) { push @wrong, "$1 twice" if $typed{$1}++; push @wrong, $1 if ($2 eq 'counter') != ($1 =~ /_total$/) }
    elsif ($line !~ /^# HELP \w+ .+$/) { push @wrong, $line unless $line =~ /^(\w+)(?:\{\w+="[^"]*"\})? \d+(?:\.\d+)?$/ && $typed{$1} }
}
is_deeply \@wrong, [], 'every line is of the text format, and every metric has a type';

# The dashboard asks for nothing that is not there.
my $dashboard = JSON::PP::decode_json(OIDC::Nginx::slurp("$OIDC::Nginx::CHECKOUT/conf-examples/grafana-dashboard.json"));
my %asked = map { $_ => 1 } map { $_->{expr} =~ /(auth_oidc_\w+)/g } map { @{ $_->{targets} } } @{ $dashboard->{panels} };
is_deeply [sort keys %asked], [sort keys %typed], 'the dashboard shows every metric, and no other';

unlike $text . get('/status', kind => 'none')->body, qr/alice|example\.com|secret/i, 'neither a user nor a secret';
{
    my $answer = get('/status?format=xml', kind => 'none');
    is $answer->status, 400, 'an unknown format';
    is $answer->header('Cache-Control'), 'no-store', 'in an answer of ours';
    is get('/status', kind => 'none', headers => { $_->[0] => $_->[1] })->status, 200, "$_->[0] changes nothing" for ['If-Match', '"x"'], ['If-None-Match', '*'];
}
is get('/status', method => 'HEAD', kind => 'none')->status, 200, 'and the connection goes on';
is $browser->post('/status', { x => 1 })->status, 405, 'only GET';
{
    # The worker lives on, also where the connection does.
    my @workers = $ngx->worker_pids;
    my $who = $browser->fresh;
    for my $body ('', 'x', 'x' x 300_000) {
        is $who->request($_, '/status', kind => 'none', body => $body, keepalive => 1)->status, 405, "$_ with " . length($body) . ' bytes' for qw(POST PUT DELETE OPTIONS);
    }
    is get('/status', kind => 'none')->status, 200, 'and the next one is served';
    is_deeply [$ngx->worker_pids], \@workers, 'by the same worker';
}

like conf_error('server { location / { auth_oidc_status on; } }'), qr/"auth_oidc_status"/, 'it takes no value';

done_testing;
