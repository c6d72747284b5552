# Front-Channel Logout 1.0: 200 whatever is asked, and a link signs nobody out.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my ($ngx, $op, $browser) = site(provider => 'frontchannel_logout_uri /front_logout;');
my $sids = 0;

sub visitor {
    my $who = $browser->fresh;
    my $sid = 'sid-' . ++$sids;
    $op->with(claims => { sid => $sid }, sub { $who->login('/app') });
    ok has_session($who), 'signed in';
    return ($who, $sid);
}

sub frame { my ($who, $path, $destination) = @_; return $who->get($path, kind => 'none', headers => { $destination ? ('Sec-Fetch-Dest' => $destination) : () }) }
sub query { my ($sid, $iss) = @_; return form_encode([['iss', $iss // $op->issuer], ['sid', $sid]]) }

my ($who, $sid) = visitor();
for my $case (['a link', '/front_logout', 'document'], ['a picture', '/front_logout', 'image'], ['nothing at all', '/front_logout', undef],
              ['another sid', '/front_logout?' . query('other'), undef], ['another issuer', '/front_logout?' . query($sid, 'https://other.example.com'), 'iframe']) {
    my ($name, $path, $destination) = @$case;
    is frame($who, $path, $destination)->status, 200, "$name: 200";
    ok has_session($who), "$name signs nobody out";
}

my $answer = frame($who, '/front_logout', 'iframe');
is $answer->status, 200, 'in a frame, by the cookie';
is $answer->header('Cache-Control'), 'no-store', 'no-store';
my ($origin) = $op->issuer =~ m{^(\w+://[^/]+)};
like $answer->header('Content-Security-Policy'), qr/frame-ancestors \Q$origin\E/, 'the provider may frame it';
like "@{[map { qq($_->{name}=$_->{value}) } $answer->set_cookies]}", qr/NGX_OIDC_SESSION=/, 'the cookie goes';
ok !has_session($who), 'signed out';

($who, $sid) = visitor();
is frame($browser->fresh, '/front_logout?' . query($sid), 'iframe')->status, 200, 'by iss and sid, without a cookie';
ok !has_session($who), 'ends the session';

($who, $sid) = visitor();
is frame($browser->fresh, "/front_logout/?sid=$sid", 'iframe')->status, 200, 'by sid alone, with a slash behind the path';
ok !has_session($who), 'ends it too';
is frame($browser->fresh, '/front_logout?' . query('unknown'), 'iframe')->status, 200, 'an unknown sid';
is $browser->fresh->post('/front_logout', '')->status, 405, 'POST';

done_testing;
