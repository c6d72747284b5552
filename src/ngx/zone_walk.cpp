// The arena as a list: for whoever wants all of it, or all of one user.
#include "zone_layout.hpp"

namespace auth_oidc {

Place Arena::end() const {
    return header_->fresh;
}
bool Arena::is_record(Place place) const {
    return is_head(place) && node(place).check != 0;
}
const RecordId &Arena::id(Place place) const {
    return node(place).id;
}

Place Arena::find(Index index, const IndexKey &key) const {
    const auto i = static_cast<size_t>(index);
    Place place = key_bucket(i, key);
    while (place != 0 && node(place).keys[i] != key) {
        place = node(place).links[by_key + i].next;
    }
    return place;
}

}  // namespace auth_oidc
