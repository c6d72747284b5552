# Callbacks by POST (OAuth 2.0 Form Post Response Mode): the ticket's cookie, bodies of every shape, and their limits.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $op = OIDC::Provider->new;
my ($ngx, undef, $poster) = site(op => $op, provider => 'response_mode form_post; logout_uri /logout;',
    http => provider_conf($op, name => 'asks', provider => 'redirect_uri /asked; cookie_name ASKED;'),
    server => 'location /asks { auth_oidc asks; try_files /none @in; } location @in { return 200 "in\n"; }');
my $session = 'NGX_OIDC_SESSION';
{
    my $begun = $poster->begin('/posted');
    is $begun->query->{response_mode}, 'form_post', 'response_mode is sent';
    my ($cookie) = $begun->set_cookies;
    is_deeply [@$cookie{qw(samesite secure)}], ['None', 1], 'form_post: the ticket is SameSite=None; Secure';
    my $answer = $poster->submit($poster->approve($begun));
    is $answer->location, $poster->resolve('/posted'), 'form_post: to the target';
    is $answer->cookie($session)->{samesite}, 'Lax', 'form_post: the session stays Lax';
    ok has_session($poster), 'form_post: signed in';
    my $out = $poster->get('/logout', from => $poster->resolve('/app'));
    my @loop = grep { $_->{name} =~ /LOOP/ } $answer->set_cookies, $out->set_cookies;
    is_deeply [map { [@$_{qw(samesite secure path)}] } @loop], [(['None', 1, '/']) x 2], 'form_post: the loop guard is deleted as it was set';
}
for my $case (['/app', 'None', 1, 'of a provider that posts'], ['/asks', 'Lax', undef, 'of one beside it that does not']) {
    my ($page, $samesite, $secure, $what) = @$case;
    my $who = $poster->fresh;
    my $begun = $who->begin($page);
    my $page_back = $who->approve($begun);
    my $answer = $samesite eq 'None' ? $who->submit($page_back) : $who->open_callback($page_back->location);
    my ($set) = grep { $_->{name} =~ /LOGIN_/ } $begun->set_cookies;
    my ($deleted) = grep { $_->{name} eq $set->{name} } $answer->set_cookies;
    is_deeply [@$_{qw(samesite secure path httponly)}], [$samesite, $secure, '/', 1], "the ticket $what" for $set, $deleted;
    is_deeply [grep { $_->{name} =~ /LOGIN_/ } $who->cookies->all], [], 'which is gone afterwards';
}

# The form's fields of a new visitor, changed, and sent in any shape.
sub posted {
    my ($change, %option) = @_;
    my $who = $poster->fresh;
    my $page = $who->approve($who->begin('/app'));
    my @inputs = map { [map { OIDC::Browser::html_unescape($_) } @$_] } OIDC::Browser::form_inputs($page->body);
    return $who->request('POST', '/oidc_callback', from => $op->issuer . '/', kind => 'navigate', $change->(form_encode(\@inputs)), %option);
}
my %form = ('Content-Type' => 'application/x-www-form-urlencoded');
my $chunked = sub { my ($body) = @_; return join('', map { sprintf "%x\r\n%s\r\n", length, $_ } $body =~ /(.{1,7})/gs) . "0\r\n\r\n" };
like posted(sub { (body => $chunked->($_[0]), headers => { %form, 'Content-Length' => undef, 'Transfer-Encoding' => 'chunked' }) })->status,
    qr/^30/, 'a chunked body';
like posted(sub { (body => $_[0], headers => { 'Content-Type' => 'application/x-www-form-urlencoded; charset=UTF-8' }) })->status, qr/^30/, 'a charset';
like posted(sub { (body => "$_[0]&pad=" . 'x' x 60_000, headers => \%form) })->status, qr/^30/, '60,000 bytes';
like posted(sub { (body => "$_[0]&pad=" . 'x' x 70_000, headers => \%form) })->status, qr/^4(?:00|13)$/, '70,000 bytes are too many';
like posted(sub { (body => $chunked->("$_[0]&pad=" . 'x' x 70_000), headers => { %form, 'Content-Length' => undef, 'Transfer-Encoding' => 'chunked' }) })->status,
    qr/^4(?:00|13)$/, 'also in chunks';
like posted(sub { (body => $_[0], headers => { 'Content-Type' => 'application/json' }) })->status, qr/^4(?:00|15)$/, 'another type';
like posted(sub { (body => $_[0]) })->status, qr/^4(?:00|15)$/, 'no type';
is posted(sub { (body => '', headers => \%form) })->status, 400, 'an empty body';
is posted(sub { (body => "$_[0]&state=x", headers => \%form) })->status, 400, 'state twice';
is posted(sub { (body => "$_[0]&code=x", headers => \%form) })->status, 400, 'code twice';
is posted(sub { (body => $_[0] =~ s/state=[^&]*/state=x/r, headers => \%form) })->status, 400, 'another state';
is_deeply [$op->refused], [], 'the provider saw no wrong request';
unlike $ngx->access_log . $ngx->error_log, qr/code=/, 'no log has a form';

done_testing;
